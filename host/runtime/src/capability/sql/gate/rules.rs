//! What each kind of node may be, in a statement and in a migration.

use super::functions::{Volatility, is_never, volatility};
use super::walk::Node;
use super::{AccessMode, ApprovedFunctions, Refusal};

/// Kinds of nodes that a statement may consist of. What is not here is refused,
/// so a kind that a later Postgres adds is refused until someone looked at it.
const STATEMENT_KINDS: &str = "AArrayExpr AConst AExpr AIndices AIndirection Alias BitString BoolExpr Boolean \
     BooleanTest CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef \
     CommonTableExpr CteCycleClause CteSearchClause DeleteStmt Float FuncCall GroupingFunc \
     GroupingSet IndexElem InferClause InsertStmt Integer JoinExpr JsonAggConstructor \
     JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior \
     JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor \
     JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable \
     JsonTableColumn JsonTablePathSpec JsonValueExpr List LockingClause MergeStmt \
     MergeSupportFunc MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NullTest \
     OnConflictClause ParamRef ParseResult RangeFunction RangeSubselect RangeTableSample \
     RangeVar RawStmt ResTarget ReturningClause ReturningOption RowExpr SelectStmt \
     SetToDefault SortBy SqlValueFunction String SubLink TypeCast TypeName UpdateStmt \
     WindowDef WithClause";

/// The statements that a plugin may declare.
pub const STATEMENTS: &[&str] = &[
    "SelectStmt",
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
];

/// Types whose input reads catalogs, or whose values do. `regconfig`, the name
/// of a text search configuration, is not among them.
const REFUSED_TYPES: &str = "regclass regcollation regdatabase regdictionary regnamespace regoper regoperator regproc \
     regprocedure regrole regtype xml";

/// `CURRENT_ROLE` and what follows it in `SQLValueFunctionOp`: role, user,
/// session user, catalog, schema. Before it are dates and times.
const FIRST_ROLE_FUNCTION: i64 = pg_query::protobuf::SqlValueFunctionOp::SvfopCurrentRole as i64;

/// Whether a text of names has this one.
pub fn among(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|known| known == name)
}

/// What is wrong with a node, and where it is.
#[derive(Debug)]
pub struct Fault {
    pub reason: String,
    pub position: Option<usize>,
}

impl Fault {
    pub fn at<T>(node: &Node, reason: impl Into<String>) -> Result<T, Fault> {
        Err(Fault {
            reason: reason.into(),
            position: node.location(),
        })
    }
}

/// Checks the tree of one declared statement.
pub fn statement(
    text: &str,
    tree: &Node,
    schema: &str,
    approved: &ApprovedFunctions,
) -> Result<AccessMode, Refusal> {
    let mut rules = Rules::new(schema, approved);
    match rules
        .single(tree)
        .and_then(|()| tree.visit(&mut |node| rules.check(node)))
    {
        Ok(()) => Ok(rules.access),
        Err(fault) => Err(Refusal::new(text, fault.reason, fault.position)),
    }
}

/// The rules for one plugin, and what was found about the statement so far.
pub struct Rules<'a> {
    pub schema: &'a str,
    pub approved: &'a ApprovedFunctions,
    pub access: AccessMode,
    /// Further kinds of nodes, in a migration.
    pub further_kinds: &'a str,
    /// Whether `*` may stand for columns.
    pub stars: bool,
}

impl<'a> Rules<'a> {
    pub fn new(schema: &'a str, approved: &'a ApprovedFunctions) -> Rules<'a> {
        Rules {
            schema,
            approved,
            access: AccessMode::Read,
            further_kinds: "",
            stars: false,
        }
    }

    /// Whether the text is one statement, of a kind that may be declared.
    fn single(&self, tree: &Node) -> Result<(), Fault> {
        let statements = tree.nodes("stmts").collect::<Vec<_>>();
        let [raw] = statements.as_slice() else {
            let count = statements.len();
            return Fault::at(
                tree,
                format!("contains {count} statements; exactly one is allowed"),
            );
        };
        match raw.node("stmt") {
            Some(statement) if STATEMENTS.contains(&statement.kind) => Ok(()),
            _ => Fault::at(
                raw,
                "is not a SELECT, INSERT, UPDATE, DELETE or MERGE statement; no others are allowed",
            ),
        }
    }

    /// Checks one node, not what is below it.
    pub fn check(&mut self, node: &Node) -> Result<(), Fault> {
        match node.kind {
            "FuncCall" => self.function(node),
            "RangeVar" => self.relation(node),
            "TypeName" => self.type_name(node),
            "AStar" if self.stars => Ok(()),
            "AStar" => Fault::at(node, "contains *: name the columns"),
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => self.writing(node),
            "LockingClause" => self.writes(),
            "ColumnRef" | "AIndirection" => self.field(node),
            "SqlValueFunction" if node.number("op") >= FIRST_ROLE_FUNCTION => Fault::at(
                node,
                "reads the current role, database or schema, which is not allowed",
            ),
            "AExpr" => self.qualified(node, "name", "operator"),
            "SubLink" => self.qualified(node, "oper_name", "operator"),
            "SortBy" => self.qualified(node, "use_op", "operator"),
            "CollateClause" => self.qualified(node, "collname", "collation"),
            "RangeTableSample" => self.sample(node),
            "IndexElem" | "PartitionElem" => self.index_element(node),
            kind => self.kind(node, kind),
        }
    }

    fn kind(&self, node: &Node, kind: &str) -> Result<(), Fault> {
        if among(STATEMENT_KINDS, kind) || among(self.further_kinds, kind) {
            return Ok(());
        }
        match kind {
            "IntoClause" => Fault::at(node, "creates a table (SELECT INTO), which is not allowed"),
            "CurrentOfExpr" => Fault::at(node, "names a cursor (CURRENT OF), which is not allowed"),
            "XmlExpr" | "XmlSerialize" | "RangeTableFunc" => {
                Fault::at(node, "uses XML, which is not allowed")
            }
            _ => Fault::at(
                node,
                format!("contains a part that is not allowed there ({kind})"),
            ),
        }
    }

    fn writes(&mut self) -> Result<(), Fault> {
        self.access = AccessMode::Write;
        Ok(())
    }

    fn writing(&mut self, node: &Node) -> Result<(), Fault> {
        match node.node("relation") {
            Some(target) => self.own_relation(target)?,
            None => return Fault::at(node, "does not name the table that it writes to"),
        }
        self.writes()
    }

    fn function(&mut self, call: &Node) -> Result<(), Fault> {
        let names = call.names("funcname");
        let (schema, name) = match names.as_slice() {
            [name] => ("", *name),
            [schema, name] => (*schema, *name),
            _ => return Fault::at(call, "calls a function with a name of more than two parts"),
        };
        let shown = names.join(".");
        if is_never(name) {
            return Fault::at(call, format!("calls {shown}, which plugins may not call"));
        }
        if self.approved.contains(name) && ["", "pg_catalog", self.schema].contains(&schema) {
            return self.writes();
        }
        match volatility(name) {
            _ if !["", "pg_catalog"].contains(&schema) => Fault::at(
                call,
                format!(
                    "calls {shown}, which is not approved: plugins may call functions of Postgres \
                     and approved ones"
                ),
            ),
            Volatility::Plain => Ok(()),
            Volatility::Volatile => self.writes(),
            Volatility::Unknown => Fault::at(
                call,
                format!(
                    "calls {shown}, which is not in the list of functions that plugins may call; \
                     an operator can approve it by name"
                ),
            ),
        }
    }

    /// `row.name` is a call of `name(row)` where the row has no such column. Only
    /// approved functions take a row and write.
    fn field(&mut self, node: &Node) -> Result<(), Fault> {
        let mut fields = node
            .names("fields")
            .into_iter()
            .chain(node.names("indirection"));
        match fields.any(|name| self.approved.contains(name)) {
            true => self.writes(),
            false => Ok(()),
        }
    }

    /// A relation that is read: the plugin's own, or the host's view of customers.
    fn relation(&self, relation: &Node) -> Result<(), Fault> {
        let names = [relation.text("schemaname"), relation.text("relname")];
        match names == ["hearth", "customer"] && relation.text("catalogname").is_empty() {
            true => Ok(()),
            false => self.own_relation(relation),
        }
    }

    /// A relation of the plugin's own schema.
    pub fn own_relation(&self, relation: &Node) -> Result<(), Fault> {
        let (schema, name) = (relation.text("schemaname"), relation.text("relname"));
        let own = schema.is_empty() || schema == self.schema;
        if !own || !relation.text("catalogname").is_empty() {
            let reason = format!("names {schema}.{name}, which is not in the plugin's own schema");
            return Fault::at(relation, reason);
        }
        if name.starts_with("pg_") {
            let reason = format!("names {name}: plugins may not read the catalogs of Postgres");
            return Fault::at(relation, reason);
        }
        match relation.text("relpersistence") {
            "p" => Ok(()),
            _ => Fault::at(
                relation,
                format!("makes {name} a temporary or unlogged table, which is not allowed"),
            ),
        }
    }

    fn type_name(&self, node: &Node) -> Result<(), Fault> {
        self.qualified(node, "names", "type")?;
        let names = node.names("names");
        let name = names.last().copied().unwrap_or_default();
        // `_name` is what Postgres calls the array type of `name`.
        let base = name.trim_start_matches('_');
        match among(REFUSED_TYPES, base) || base.starts_with("pg_") {
            true => Fault::at(
                node,
                format!("uses the type {name}, which plugins may not use"),
            ),
            false => Ok(()),
        }
    }

    /// A name that may be qualified, with Postgres's schema or the plugin's own.
    pub fn qualified(&self, node: &Node, field: &str, what: &str) -> Result<(), Fault> {
        let names = node.names(field);
        match names.as_slice() {
            [] | [_] => Ok(()),
            [schema, _] if ["pg_catalog", self.schema].contains(schema) => Ok(()),
            _ => Fault::at(
                node,
                format!("names the {what} {} of another schema", names.join(".")),
            ),
        }
    }

    fn sample(&self, node: &Node) -> Result<(), Fault> {
        match node.names("method").as_slice() {
            ["system" | "bernoulli"] | ["pg_catalog", "system" | "bernoulli"] => Ok(()),
            _ => Fault::at(
                node,
                "uses a sampling method other than SYSTEM and BERNOULLI",
            ),
        }
    }

    fn index_element(&self, node: &Node) -> Result<(), Fault> {
        self.qualified(node, "collation", "collation")?;
        self.qualified(node, "opclass", "operator class")
    }
}
