//! The parse tree as one uniform shape, so that a walk over it misses nothing.
//!
//! `pg_query` has an iterator over nodes, but it leaves out those that its
//! authors had no use for. Its structs can be serialised, though, and what
//! serialises a struct is told its name: so the tree here is whatever the parser
//! made, complete by construction, also of nodes that later versions add.
//! Fields with a default value (zero, false, empty) are left out.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};

/// A part of a parse tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Node(Node),
    List(Vec<Tree>),
    Text(String),
    Number(i64),
    /// What has its default value, or no value.
    Nothing,
}

/// A node: the name of its struct in `pg_query::protobuf`, and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: &'static str,
    fields: Vec<(&'static str, Tree)>,
}

/// The parser made something that no parse tree has.
#[derive(Debug)]
pub struct Unexpected(String);

impl Node {
    /// The whole tree of a parse result.
    pub fn of(result: &pg_query::protobuf::ParseResult) -> Result<Node, Unexpected> {
        match result.serialize(Builder)? {
            Tree::Node(node) => Ok(node),
            other => Err(Unexpected(format!("{other:?}"))),
        }
    }

    pub fn get(&self, field: &str) -> &Tree {
        let mut fields = self.fields.iter();
        fields
            .find(|(name, _)| *name == field)
            .map_or(&Tree::Nothing, |(_, tree)| tree)
    }

    pub fn text(&self, field: &str) -> &str {
        match self.get(field) {
            Tree::Text(text) => text,
            _ => "",
        }
    }

    pub fn number(&self, field: &str) -> i64 {
        match self.get(field) {
            Tree::Number(number) => *number,
            _ => 0,
        }
    }

    pub fn flag(&self, field: &str) -> bool {
        self.number(field) != 0
    }

    pub fn node(&self, field: &str) -> Option<&Node> {
        match self.get(field) {
            Tree::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The nodes of a list; none where the field is empty.
    pub fn nodes(&self, field: &str) -> impl Iterator<Item = &Node> {
        let items = match self.get(field) {
            Tree::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(|item| match item {
            Tree::Node(node) => Some(node),
            _ => None,
        })
    }

    /// The texts of a list of strings, as in qualified names.
    pub fn names(&self, field: &str) -> Vec<&str> {
        self.nodes(field).map(|node| node.text("sval")).collect()
    }

    /// Where the node begins in the text, where the parser says so.
    pub fn location(&self) -> Option<usize> {
        usize::try_from(self.number("location"))
            .ok()
            .filter(|at| *at > 0)
    }

    /// Visits this node and everything below it, parents first.
    pub fn visit<E>(&self, look: &mut impl FnMut(&Node) -> Result<(), E>) -> Result<(), E> {
        look(self)?;
        self.fields
            .iter()
            .try_for_each(|(_, tree)| tree.visit(look))
    }
}

impl Tree {
    fn visit<E>(&self, look: &mut impl FnMut(&Node) -> Result<(), E>) -> Result<(), E> {
        match self {
            Tree::Node(node) => node.visit(look),
            Tree::List(items) => items.iter().try_for_each(|item| item.visit(look)),
            Tree::Text(_) | Tree::Number(_) | Tree::Nothing => Ok(()),
        }
    }

    fn is_default(&self) -> bool {
        match self {
            Tree::Nothing | Tree::Number(0) => true,
            Tree::Text(text) => text.is_empty(),
            Tree::List(items) => items.is_empty(),
            Tree::Number(_) | Tree::Node(_) => false,
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unexpected {}

impl ser::Error for Unexpected {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Unexpected(message.to_string())
    }
}

fn unexpected<T>(what: &str) -> Result<T, Unexpected> {
    Err(Unexpected(format!("a parse tree has no {what}")))
}

/// Builds a tree of what is serialised into it.
struct Builder;

/// The struct that is being built.
struct StructBuilder(Node);

/// The list that is being built.
struct Items(Vec<Tree>);

impl ser::SerializeStruct for StructBuilder {
    type Ok = Tree;
    type Error = Unexpected;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unexpected> {
        let tree = value.serialize(Builder)?;
        if !tree.is_default() {
            self.0.fields.push((name, tree));
        }
        Ok(())
    }

    /// `Node` and its like only wrap one of many kinds: what counts is inside.
    fn end(mut self) -> Result<Tree, Unexpected> {
        match (self.0.kind, self.0.fields.pop()) {
            ("Node", inner) => Ok(inner.map_or(Tree::Nothing, |(_, tree)| tree)),
            (_, last) => {
                self.0.fields.extend(last);
                Ok(Tree::Node(self.0))
            }
        }
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Tree;
    type Error = Unexpected;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unexpected> {
        self.0.push(value.serialize(Builder)?);
        Ok(())
    }

    fn end(self) -> Result<Tree, Unexpected> {
        Ok(Tree::List(self.0))
    }
}

macro_rules! numbers {
    ($($method:ident($kind:ty))*) => {$(
        fn $method(self, number: $kind) -> Result<Tree, Unexpected> {
            Ok(Tree::Number(i64::from(number)))
        }
    )*};
}

impl ser::Serializer for Builder {
    type Ok = Tree;
    type Error = Unexpected;
    type SerializeSeq = Items;
    type SerializeStruct = StructBuilder;
    type SerializeTuple = Impossible<Tree, Unexpected>;
    type SerializeTupleStruct = Impossible<Tree, Unexpected>;
    type SerializeTupleVariant = Impossible<Tree, Unexpected>;
    type SerializeMap = Impossible<Tree, Unexpected>;
    type SerializeStructVariant = Impossible<Tree, Unexpected>;

    numbers! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32)
        serialize_i64(i64) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
    }

    fn serialize_u64(self, number: u64) -> Result<Tree, Unexpected> {
        Ok(Tree::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn serialize_f32(self, _: f32) -> Result<Tree, Unexpected> {
        unexpected("f32")
    }

    /// Planner estimates; a raw parse tree has none that says anything.
    fn serialize_f64(self, _: f64) -> Result<Tree, Unexpected> {
        Ok(Tree::Nothing)
    }

    fn serialize_char(self, _: char) -> Result<Tree, Unexpected> {
        unexpected("char")
    }

    fn serialize_str(self, text: &str) -> Result<Tree, Unexpected> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Tree, Unexpected> {
        unexpected("bytes")
    }

    fn serialize_none(self) -> Result<Tree, Unexpected> {
        Ok(Tree::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, Unexpected> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Tree, Unexpected> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_struct(self, kind: &'static str) -> Result<Tree, Unexpected> {
        Ok(Tree::Node(Node {
            kind,
            fields: Vec::new(),
        }))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<Tree, Unexpected> {
        unexpected("unit variant")
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, Unexpected> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, Unexpected> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Unexpected> {
        Ok(Items(Vec::with_capacity(length.unwrap_or(0).min(1_024))))
    }

    fn serialize_struct(self, kind: &'static str, _: usize) -> Result<StructBuilder, Unexpected> {
        Ok(StructBuilder(Node {
            kind,
            fields: Vec::new(),
        }))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unexpected> {
        unexpected("tuple")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unexpected> {
        unexpected("tuple struct")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unexpected> {
        unexpected("tuple variant")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unexpected> {
        unexpected("map")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unexpected> {
        unexpected("struct variant")
    }
}
