//! Packing a plugin into one file, and reading it again.

use hearth::capability::sql::statement::{AccessMode, Column, Declared, Type, encode};
use hearth::plugin::manifest::Manifest;
use hearth::plugin::package::{Interface, Migration, PackError, Package, PackageParts, pack};
use proptest::prelude::*;
use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection, CustomSection, InstanceType,
    Module, ModuleSection,
};

mod command;
mod manifest;
mod queues;

const HANDLER: &str = "hearth:plugin/handler@0.1.0";
const SQL: &str = "hearth:plugin/sql@0.1.0";

const MANIFEST: &str = r#"
name = "tickets"
version = "0.1.0"
mount = "/support"
world = "plugin"
grants = ["sql", "log"]
"#;

/// A component that imports and exports empty instances, with a module inside
/// for each `hearth:sql` section.
fn component(imports: &[&str], exports: &[&str], sections: &[Vec<u8>]) -> Vec<u8> {
    let mut component = Component::new();
    for section in sections {
        let mut module = Module::new();
        module.section(&CustomSection {
            name: "hearth:sql".into(),
            data: section.into(),
        });
        component.section(&ModuleSection(&module));
    }
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    component.section(&types);
    let mut import_section = ComponentImportSection::new();
    for name in imports {
        import_section.import(*name, ComponentTypeRef::Instance(0));
    }
    component.section(&import_section);
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(Vec::<(&str, ComponentExportKind, u32)>::new());
    component.section(&instances);
    let mut export_section = ComponentExportSection::new();
    for name in exports {
        let index = imports.len() as u32;
        export_section.export(*name, ComponentExportKind::Instance, index, None);
    }
    component.section(&export_section);
    component.finish()
}

fn declared(text: &str) -> Declared {
    Declared {
        name: "one".into(),
        text: text.into(),
        params: vec![Type::Text],
        columns: vec![Column {
            name: "id".into(),
            kind: Type::Uuid,
            nullable: false,
        }],
        access: AccessMode::Read,
    }
}

fn parts(manifest: &str) -> PackageParts {
    PackageParts {
        manifest: manifest.into(),
        ..PackageParts::default()
    }
}

fn migration(version: u32, sql: &str) -> Migration {
    Migration {
        version,
        name: "create".into(),
        sql: sql.into(),
    }
}

/// What packing says of a component with these imports and exports.
fn refusal(imports: &[&str], exports: &[&str], manifest: &str) -> String {
    pack(&component(imports, exports, &[]), &parts(manifest))
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_packed_is_read_again() {
    let (a, b) = (
        declared("SELECT id FROM a WHERE x = $1"),
        declared("SELECT id FROM b WHERE x = $1"),
    );
    let sections = [
        encode(&[a.clone(), b.clone()]),
        encode(std::slice::from_ref(&b)),
    ];
    let component = component(&[SQL, "wasi:cli/stdout@0.2.6"], &[HANDLER], &sections);
    let manifest = format!(
        "{MANIFEST}\n[[sql.statements]]\nname = \"all_of_c\"\ntext = \"SELECT id FROM c\"\naccess = \"write\"\n\
         params = [\"int8\"]\ncolumns = [{{ name = \"id\", type = \"text[]\", nullable = true }}]\n"
    );
    let parts = PackageParts {
        manifest,
        migrations: vec![
            migration(1, "CREATE TABLE a (id uuid)"),
            migration(7, "SELECT 1"),
        ],
        openapi: Some(r#"{"paths":{}}"#.into()),
    };
    let packed = pack(&component, &parts).unwrap();
    let package = Package::read(packed.clone()).unwrap();
    let c = Declared {
        name: "all_of_c".into(),
        text: "SELECT id FROM c".into(),
        params: vec![Type::Int8],
        columns: vec![Column {
            name: "id".into(),
            kind: Type::TextArray,
            nullable: true,
        }],
        access: AccessMode::Write,
    };
    assert_eq!(package.statements, [a, b, c]);
    assert_eq!(package.migrations, parts.migrations);
    assert_eq!(package.openapi, parts.openapi);
    assert_eq!(package.manifest.name, "tickets");
    assert_eq!(package.interfaces, [Interface::Sql]);
    assert_eq!(package.component, packed);
    assert!(package.digest.to_string().starts_with("sha256:"));
    assert_eq!(package.digest.to_string().len(), 7 + 64);
    assert!(packed.starts_with(&component));
    let text = b"SELECT id FROM a WHERE x = $1";
    let copies = packed.windows(text.len()).filter(|window| window == text);
    assert_eq!(copies.count(), 1, "statements stay where they were");
}

#[test]
fn openapi_is_packed_without_spaces() {
    let spaced = "{\n  \"paths\": {},\n  \"info\": {\"title\": \"a  b\", \"x\": 1.50e2}\n}\n";
    let parts = PackageParts {
        openapi: Some(spaced.into()),
        ..parts(MANIFEST)
    };
    let packed = pack(&component(&[], &[HANDLER], &[]), &parts).unwrap();
    let openapi = Package::read(packed).unwrap().openapi.unwrap();
    assert_eq!(openapi.matches(char::is_whitespace).count(), 2, "{openapi}");
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&openapi), read(spaced));
}

#[test]
fn packing_twice_gives_the_same_bytes_and_packing_again_replaces() {
    let component = component(&[SQL], &[HANDLER], &[encode(&[declared("SELECT 1")])]);
    let first = PackageParts {
        openapi: Some("{}".into()),
        ..parts(MANIFEST)
    };
    let packed = pack(&component, &first).unwrap();
    assert_eq!(packed, pack(&component, &first).unwrap());
    assert_eq!(packed, pack(&packed, &first).unwrap());
    let second = parts(&MANIFEST.replace("0.1.0", "0.2.0"));
    let repacked = pack(&packed, &second).unwrap();
    assert_eq!(repacked, pack(&component, &second).unwrap());
    let package = Package::read(repacked).unwrap();
    assert_eq!(package.manifest.version.to_string(), "0.2.0");
    assert_eq!(package.openapi, None);
}

#[test]
fn files_that_are_no_plugin_are_refused_with_the_reason() {
    let read = |bytes: &[u8]| Package::read(bytes.to_vec()).unwrap_err().to_string();
    assert!(read(b"").contains("not WebAssembly"));
    assert!(read(b"#!/bin/sh").contains("not WebAssembly"));
    assert!(read(&Module::new().finish()).contains("wasm32-wasip2"));
    let component = component(&[SQL], &[HANDLER], &[]);
    assert!(read(&component).contains("run `hearth pack`"));
    let packed = pack(&component, &parts(MANIFEST)).unwrap();
    assert!(read(&packed[..packed.len() - 1]).contains("truncated or damaged"));
    let twice = [packed.clone(), packed[component.len()..].to_vec()].concat();
    assert!(read(&twice).contains("hearth:manifest is given twice"));
    let large = vec![0; 64 * 1024 * 1024 + 1];
    assert!(read(&large).contains("component_bytes_max"));
}

#[test]
fn a_component_that_is_not_valid_is_not_packed() {
    // It exports an instance that there is not.
    let mut component = Component::new();
    let mut exports = ComponentExportSection::new();
    exports.export(HANDLER, ComponentExportKind::Instance, 9, None);
    component.section(&exports);
    let error = pack(&component.finish(), &parts(MANIFEST)).unwrap_err();
    assert!(matches!(error, PackError::Invalid(_)), "{error}");
}

#[test]
fn exports_must_be_those_of_the_world() {
    assert!(refusal(&[], &[], MANIFEST).contains("does not export hearth:plugin/handler@0.1.0"));
    let worker = MANIFEST
        .replace("mount = \"/support\"\n", "")
        .replace("\"plugin\"", "\"worker\"")
        + "[[queues]]\nname = \"letters\"\n";
    assert!(refusal(&[], &[HANDLER], &worker).contains("hearth:plugin/consumer@0.1.0"));
    let full = MANIFEST.replace("\"plugin\"", "\"full\"");
    assert!(refusal(&[], &[HANDLER], &full).contains("hearth:plugin/consumer@0.1.0"));
    let other = ["hearth:plugin/handler@0.2.0"];
    assert!(refusal(&[], &other, MANIFEST).contains("does not export"));
}

#[test]
fn imports_must_exist_and_be_asked_for() {
    let cases = [
        (
            "hearth:plugin/cache@0.1.0",
            "imports cache, but its manifest does not ask for the grant",
        ),
        (
            "hearth:plugin/queue@0.1.0",
            "imports queue, but its manifest does not ask for the grant",
        ),
        ("hearth:plugin/nothing@0.1.0", "hearth:plugin/nothing@0.1.0"),
        ("hearth:plugin/handler@0.1.0", "hearth:plugin/handler@0.1.0"),
        ("hearth:plugin/sql@0.2.0", "implements version 0.1.0"),
        ("hearth:plugin/sql", "implements version 0.1.0"),
        ("wasi:sockets/tcp@0.2.6", "sockets are not allowed"),
        (
            "wasi:http/outgoing-handler@0.2.6",
            "imports wasi:http/outgoing-handler, but its manifest does not ask for the grant",
        ),
        (
            "wasi:http/incoming-handler@0.2.6",
            "a plugin exports hearth:plugin/handler",
        ),
        ("wasi:cli/stdout@0.3.0", "WASI 0.2"),
        ("wasi:nn/graph@0.2.0", "this part of WASI is not supported"),
        (
            "other:thing/sql@0.1.0",
            "belongs to neither hearth:plugin nor WASI",
        ),
        ("sql", "belongs to neither hearth:plugin nor WASI"),
    ];
    for (import, reason) in cases {
        let refusal = refusal(&[import], &[HANDLER], MANIFEST);
        assert!(refusal.contains(reason), "{import}: {refusal}");
    }
    let free = [
        "wasi:cli/environment@0.2.6",
        "wasi:io/streams@0.2.3",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:random/random@0.2.6",
        "wasi:filesystem/preopens@0.2.6",
        "hearth:plugin/types@0.1.0",
    ];
    pack(&component(&free, &[HANDLER], &[]), &parts(MANIFEST)).unwrap();
    let queue = MANIFEST.replace("\"log\"", "\"queue:mail\"");
    pack(
        &component(&["hearth:plugin/queue@0.1.0"], &[HANDLER], &[]),
        &parts(&queue),
    )
    .unwrap();
}

#[test]
fn migrations_must_count_up_and_openapi_must_be_an_object() {
    let component = component(&[], &[HANDLER], &[]);
    for versions in [[0, 1], [2, 2], [3, 1]] {
        let migrations = versions
            .map(|version| migration(version, "SELECT 1"))
            .to_vec();
        let parts = PackageParts {
            migrations,
            ..parts(MANIFEST)
        };
        assert!(
            pack(&component, &parts)
                .unwrap_err()
                .to_string()
                .contains("greater")
        );
    }
    for openapi in ["", "[]", "{", "1"] {
        let parts = PackageParts {
            openapi: Some(openapi.into()),
            ..parts(MANIFEST)
        };
        assert!(
            pack(&component, &parts)
                .unwrap_err()
                .to_string()
                .contains("hearth:openapi")
        );
    }
}

#[test]
fn a_damaged_statement_section_is_refused_when_packing() {
    let component = component(&[], &[HANDLER], &[vec![1, 2, 3]]);
    let error = pack(&component, &parts(MANIFEST)).unwrap_err().to_string();
    assert!(error.contains("ends in the middle of a record"), "{error}");
}

fn packed_bytes() -> Vec<u8> {
    let sections = [encode(&[declared("SELECT id FROM a WHERE x = $1")])];
    let component = component(&[SQL, "wasi:cli/stdout@0.2.6"], &[HANDLER], &sections);
    let parts = PackageParts {
        migrations: vec![migration(1, "CREATE TABLE a (id uuid)")],
        openapi: Some("{}".into()),
        ..parts(MANIFEST)
    };
    pack(&component, &parts).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Package::read(tail.clone());
        let header = b"\0asm\x0d\0\x01\0";
        let bytes = [&header[..], &tail].concat();
        let _ = Package::read(bytes.clone());
        let _ = pack(&bytes, &parts(MANIFEST));
    }

    #[test]
    fn a_damaged_plugin_is_read_or_refused(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut bytes = packed_bytes();
        let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
        bytes[at] = byte;
        let _ = Package::read(bytes.clone());
        let _ = pack(&bytes, &parts(MANIFEST));
        let _ = Package::read(bytes[..cut].to_vec());
    }

    #[test]
    fn any_text_as_a_manifest_is_read_or_refused(text in "\\PC{0,200}", line in "[a-z_.=\"\\[\\]{}0-9 ]{0,40}") {
        let _ = Manifest::parse(&text);
        let _ = Manifest::parse(&format!("{MANIFEST}{line}"));
    }
}
