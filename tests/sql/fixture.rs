//! A plugin that keeps notes, and callers of it.

use std::sync::Arc;
use std::time::Duration;

use hearth::backend::postgres::{Config as PostgresConfig, Server};
use hearth::capability::Call;
use hearth::capability::sql::gate::ApprovedFunctions;
use hearth::capability::sql::statement::{AccessMode, Column, Declared, Type};
use hearth::capability::sql::{
    BatchCall, Client, Config, GuestError, Host, HostTransaction, Isolation, LendError, Lent,
    Migration, Outcome, RowSet, SqlDeployment, State, Statement, Transaction, Value, View,
};
use hearth::secret::RootSecret;
use hearth::telemetry::{HostMetrics, Metrics};
use wasmtime::component::{Resource, ResourceTable};

use crate::harness::postgres::Cluster;

pub const NOTES: &str = "
    CREATE TABLE note (
        customer_id text,
        id bigint,
        body text NOT NULL CONSTRAINT note_body CHECK (body <> ''),
        PRIMARY KEY (customer_id, id)
    );
    CREATE TABLE remark (
        customer_id text,
        id bigint,
        note bigint NOT NULL,
        PRIMARY KEY (customer_id, id),
        CONSTRAINT remark_note FOREIGN KEY (customer_id, note) REFERENCES note (customer_id, id)
    )";

pub const ALL: &str = "SELECT id, body FROM note ORDER BY id";
pub const COUNT: &str = "SELECT count(*) AS n FROM note";
pub const INSERT: &str = "INSERT INTO note (id, body) VALUES ($1, $2)";
pub const INSERT_AS: &str = "INSERT INTO note (customer_id, id, body) VALUES ($1, $2, $3)";
pub const RETURNING: &str = "INSERT INTO note (id, body) VALUES ($1, $2) RETURNING customer_id, id";
pub const UPDATE: &str = "UPDATE note SET body = $1";
pub const DELETE: &str = "DELETE FROM note";
pub const REMARK: &str = "INSERT INTO remark (id, note) VALUES ($1, $2)";
pub const SERIES: &str = "SELECT g AS n FROM generate_series(1, $1) AS g";
/// Keeps Postgres busy for an hour if nobody ends it.
pub const BUSY: &str =
    "SELECT count(*) AS n FROM generate_series(1, 100000) AS a, generate_series(1, $1) AS b";

/// Eight texts, each of so many MB, at once in memory.
pub const HUNGRY: &str = "SELECT length(concat(a, b, c, d, e, f, g, h)) AS n FROM (SELECT \
    string_agg(repeat('a', 1000000), '') AS a, string_agg(repeat('b', 1000000), '') AS b, \
    string_agg(repeat('c', 1000000), '') AS c, string_agg(repeat('d', 1000000), '') AS d, \
    string_agg(repeat('e', 1000000), '') AS e, string_agg(repeat('f', 1000000), '') AS f, \
    string_agg(repeat('g', 1000000), '') AS g, string_agg(repeat('h', 1000000), '') AS h \
    FROM generate_series(1, $1)) AS all_of_them";
/// Sorts so many rows, which leaves no room in memory for more than a few.
pub const SORTED: &str = "SELECT count(*) AS n FROM (SELECT md5(g::text) AS sum \
    FROM generate_series(1, $1) AS g ORDER BY sum OFFSET 1) AS sorted";

pub fn statement(
    text: &str,
    params: &[Type],
    columns: &[(&str, Type)],
    access: AccessMode,
) -> Declared {
    let column = |(name, kind): &(&str, Type)| Column {
        name: (*name).into(),
        kind: *kind,
        nullable: true,
    };
    let columns = columns.iter().map(column).collect();
    Declared {
        name: "one".into(),
        text: text.into(),
        params: params.to_vec(),
        columns,
        access,
    }
}

pub fn declared() -> Vec<Declared> {
    use AccessMode::{Read, Write};
    use Type::{Int4, Int8, Text};
    vec![
        statement(ALL, &[], &[("id", Int8), ("body", Text)], Read),
        statement(COUNT, &[], &[("n", Int8)], Read),
        statement(INSERT, &[Int8, Text], &[], Write),
        statement(INSERT_AS, &[Text, Int8, Text], &[], Write),
        statement(
            RETURNING,
            &[Int8, Text],
            &[("customer_id", Text), ("id", Int8)],
            Write,
        ),
        statement(UPDATE, &[Text], &[], Write),
        statement(DELETE, &[], &[], Write),
        statement(REMARK, &[Int8, Int8], &[], Write),
        statement(SERIES, &[Int4], &[("n", Int4)], Read),
        statement(BUSY, &[Int4], &[("n", Int8)], Read),
        statement(HUNGRY, &[Int4], &[("n", Int4)], Read),
        statement(SORTED, &[Int4], &[("n", Int8)], Read),
    ]
}

pub fn migration(version: u32, sql: &str) -> Migration {
    Migration {
        version,
        name: "test".into(),
        sql: sql.into(),
    }
}

/// What a deployment brings along; change what the test is about.
pub struct Package {
    pub plugin: &'static str,
    pub number: u64,
    pub declared: Vec<Declared>,
    pub migrations: Vec<Migration>,
    pub shared: Vec<String>,
}

impl Package {
    pub fn notes() -> Package {
        Package {
            plugin: "notes",
            number: 1,
            declared: declared(),
            migrations: vec![migration(1, NOTES)],
            shared: Vec::new(),
        }
    }

    /// Only these migrations, and no statements.
    pub fn migrations(sql: &[&str]) -> Package {
        let numbered = (1..).zip(sql).map(|(version, sql)| migration(version, sql));
        Package {
            declared: Vec::new(),
            migrations: numbered.collect(),
            ..Package::notes()
        }
    }

    pub fn deployment(self) -> SqlDeployment<'static> {
        SqlDeployment {
            plugin: self.plugin,
            number: self.number,
            declared: self.declared,
            migrations: self.migrations,
            shared: self.shared,
            approved: ApprovedFunctions::default(),
        }
    }
}

pub struct Fixture {
    pub cluster: Cluster,
    pub server: Arc<Server>,
    pub client: Client,
    pub metrics: HostMetrics,
}

impl Fixture {
    pub async fn start() -> Fixture {
        Fixture::start_with(PostgresConfig::default(), Config::default()).await
    }

    pub async fn start_with(postgres: PostgresConfig, config: Config) -> Fixture {
        Fixture::start_on(Cluster::start().await, postgres, config).await
    }

    pub async fn start_on(cluster: Cluster, postgres: PostgresConfig, config: Config) -> Fixture {
        let server = Arc::new(cluster.server_with(postgres).await);
        Fixture::of(cluster, server, config)
    }

    /// On a server that is there.
    pub fn of(cluster: Cluster, server: Arc<Server>, config: Config) -> Fixture {
        let metrics = HostMetrics::new(&Metrics::new(&hearth::telemetry::Config::default()));
        let client = told(&cluster, server.clone(), config, &metrics);
        Fixture {
            cluster,
            server,
            client,
            metrics,
        }
    }

    pub async fn notes(&self) -> Arc<Lent> {
        self.lend(Package::notes()).await
    }

    pub async fn lend(&self, package: Package) -> Arc<Lent> {
        match self.client.lend(package.deployment()).await {
            Ok(lent) => Arc::new(lent),
            Err(LendError::Refused(refusals)) => panic!("{refusals:#?}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// What is refused of it, each as one line.
    pub async fn refusals(&self, package: Package) -> Vec<String> {
        match self.client.lend(package.deployment()).await {
            Ok(_) => Vec::new(),
            Err(LendError::Refused(refusals)) => refusals.iter().map(ToString::to_string).collect(),
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn client(cluster: &Cluster, server: Arc<Server>, config: Config) -> Client {
    let metrics = HostMetrics::new(&Metrics::new(&hearth::telemetry::Config::default()));
    told(cluster, server, config, &metrics)
}

fn told(cluster: &Cluster, server: Arc<Server>, config: Config, metrics: &HostMetrics) -> Client {
    let secret = RootSecret::open(&cluster.folder.path().join("secret")).unwrap();
    Client::open(server, Arc::new(secret), config, metrics)
}

/// One call on behalf of a customer.
pub struct Caller {
    call: Call,
    lent: Arc<Lent>,
    state: State,
    table: ResourceTable,
}

impl Caller {
    pub fn of(lent: &Arc<Lent>, customer: &str) -> Caller {
        Caller::new(lent, Some(customer), Duration::from_secs(60))
    }

    pub fn new(lent: &Arc<Lent>, customer: Option<&str>, deadline: Duration) -> Caller {
        let until = tokio::time::Instant::now() + deadline;
        let customer = customer.map(Into::into);
        let call = Call::new("notes".into(), 1, "req_1".into(), customer, until, u64::MAX);
        Caller {
            call,
            lent: lent.clone(),
            state: State::default(),
            table: ResourceTable::new(),
        }
    }

    pub fn view(&mut self) -> View<'_> {
        View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
            table: &mut self.table,
        }
    }

    pub async fn query(&mut self, text: &str, params: Vec<Value>) -> Result<RowSet, GuestError> {
        Host::query(&mut self.view(), text.into(), params)
            .await
            .unwrap()
    }

    pub async fn execute(&mut self, text: &str, params: Vec<Value>) -> Result<u64, GuestError> {
        Host::execute(&mut self.view(), text.into(), params)
            .await
            .unwrap()
    }

    pub async fn batch(&mut self, calls: Vec<BatchCall>) -> Result<Vec<Outcome>, GuestError> {
        Host::batch(&mut self.view(), calls).await.unwrap()
    }

    pub async fn begin(
        &mut self,
        isolation: Isolation,
    ) -> Result<Resource<Transaction>, GuestError> {
        HostTransaction::begin(&mut self.view(), isolation)
            .await
            .unwrap()
    }

    pub async fn commit(&mut self, this: Resource<Transaction>) -> Result<(), GuestError> {
        HostTransaction::commit(&mut self.view(), this)
            .await
            .unwrap()
    }

    pub async fn query_in(
        &mut self,
        this: &Resource<Transaction>,
        text: &str,
        params: Vec<Value>,
    ) -> Result<RowSet, GuestError> {
        let this = Resource::new_borrow(this.rep());
        HostTransaction::query(&mut self.view(), this, text.into(), params)
            .await
            .unwrap()
    }

    pub async fn execute_in(
        &mut self,
        this: &Resource<Transaction>,
        text: &str,
        params: Vec<Value>,
    ) -> Result<u64, GuestError> {
        let this = Resource::new_borrow(this.rep());
        HostTransaction::execute(&mut self.view(), this, text.into(), params)
            .await
            .unwrap()
    }

    /// The bodies of the notes that the caller sees.
    pub async fn bodies(&mut self) -> Vec<String> {
        let rows = self.query(ALL, vec![]).await.unwrap();
        rows.rows.into_iter().map(|row| text_of(&row[1])).collect()
    }

    pub async fn insert(&mut self, id: i64, body: &str) -> Result<u64, GuestError> {
        self.execute(INSERT, note(id, body)).await
    }
}

/// The parameters of [`BUSY`].
pub fn long() -> Vec<Value> {
    vec![Value::Int32(2_000_000)]
}

pub fn note(id: i64, body: &str) -> Vec<Value> {
    vec![Value::Int64(id), Value::Text(body.into())]
}

pub fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

pub fn execute(text: &str, params: Vec<Value>) -> BatchCall {
    BatchCall::Execute(Statement {
        text: text.into(),
        params,
    })
}

pub fn query(text: &str, params: Vec<Value>) -> BatchCall {
    BatchCall::Query(Statement {
        text: text.into(),
        params,
    })
}
