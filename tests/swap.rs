//! Swaps of the real tickets plugin under load, and components that are dear to
//! compile: nothing is lost, and memory comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use hearth::plugin::package::{PackageParts, pack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use wasm_encoder::{
    CodeSection, ComponentSection, Function, FunctionSection, Module, ModuleSection, TypeSection,
    ValType,
};

use crate::harness::host::{Host, Setup, guest, plugin, runs};

/// The project's folder, where the plugin's manifest and migrations lie.
pub fn tickets_parts(version: &str) -> PackageParts {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/tickets");
    let mut parts = PackageParts::read(&folder.join("plugin.toml")).unwrap();
    parts.manifest = parts
        .manifest
        .replace("version = \"0.1.0\"", &format!("version = \"{version}\""));
    parts
}

/// What the first version calls a path that it has not, and what the second does.
const FIRST: &str = "Not found";
const SECOND: &str = "Version 2";

/// Another version of tickets: it answers otherwise for a path that it has not.
fn second_version() -> Vec<u8> {
    let mut component = std::fs::read(plugin("tickets")).unwrap();
    let found: Vec<usize> = component
        .windows(FIRST.len())
        .enumerate()
        .filter(|(_, window)| *window == FIRST.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!found.is_empty(), "the plugin's answers have changed");
    for at in found {
        component[at..at + SECOND.len()].copy_from_slice(SECOND.as_bytes());
    }
    pack(&component, &tickets_parts("0.2.0")).unwrap()
}

pub fn admin(host: &Host, method: Method, path: &str) -> reqwest::RequestBuilder {
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    host.client
        .request(method, format!("{}{path}", host.admin))
        .bearer_auth(token.trim())
}

/// The last line of a deploy's or a rollback's report.
pub async fn result(request: reqwest::RequestBuilder) -> Value {
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Sends a request that must be answered as it is wanted; answers which deployment did, and what.
async fn ask(request: &reqwest::RequestBuilder, wanted: StatusCode) -> (String, Value) {
    let answer = request.try_clone().unwrap().send().await.expect("no reset");
    assert_eq!(answer.status(), wanted);
    let label = answer.headers()["hearth-plugin"]
        .to_str()
        .unwrap()
        .to_string();
    (label, answer.json().await.unwrap())
}

/// Which version a deployment is, and what it calls a path that it has not.
fn version(label: &str) -> (usize, &'static str) {
    match label {
        "tickets@1" => (0, FIRST),
        _ => (1, SECOND),
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    answered: [Arc<AtomicUsize>; 2],
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Clients that create tickets, and ask for what is not there, without a pause. Each answer must be a success,
    /// and of one version, as its header says.
    fn begin(host: &Host, key: &str) -> Load {
        let mut load = Load {
            stop: Arc::default(),
            answered: Default::default(),
            clients: Vec::new(),
        };
        let ticket = json!({"subject": "Test", "description": "Load test", "priority": "medium"});
        for _ in 0..4 {
            let create = host.post("/support/tickets/create", key).json(&ticket);
            let none = host.get("/support/none", key);
            let (stop, answered) = (load.stop.clone(), load.answered.clone());
            load.clients.push(tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    ask(&create, StatusCode::OK).await;
                    let (label, problem) = ask(&none, StatusCode::NOT_FOUND).await;
                    let (version, wanted) = version(&label);
                    assert_eq!(problem["title"], wanted, "{label} answered for another");
                    answered[version].fetch_add(1, Relaxed);
                }
            }));
        }
        load
    }

    /// How many answers each version gave.
    async fn end(self) -> [usize; 2] {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        self.answered.map(|count| count.load(Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_of_tickets_under_load_lose_no_request_and_memory_returns_to_its_base() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    let deployed = result(admin(&host, Method::POST, "/deployments").body(second_version())).await;
    assert_eq!(deployed["label"], "tickets@2", "{deployed}");
    let load = Load::begin(&host, &key);
    let swap = async |swap: usize| {
        let path = format!("/plugins/tickets/rollback?to={}", 1 + swap % 2);
        let swapped = result(admin(&host, Method::POST, &path)).await;
        assert_eq!(swapped["result"], "serving", "{swapped}");
    };
    for number in 0..10 {
        swap(number).await;
    }
    let base = host.resident_bytes();
    for number in 0..runs(100, 1_000) {
        swap(number).await;
    }
    let answered = load.end().await;
    assert!(
        answered.iter().all(|count| *count > 0),
        "both versions answered: {answered:?}"
    );
    let grown = host.resident_bytes().saturating_sub(base);
    assert!(grown < 64 << 20, "resident memory grew by {grown} bytes");
    assert_eq!(host.metric("hearth_deployments_live", &[]).await, 1.0);
}

/// The echo guest with a core module beside it that takes long to compile.
fn dear() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], [ValType::I64]);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for number in 0..8 {
        functions.function(0);
        let mut function = Function::new([(8, ValType::I64)]);
        let mut body = function.instructions();
        body.local_get(0);
        for step in 0..100_000 {
            body.local_get(1 + step % 8)
                .i64_mul()
                .i64_const(i64::from(number + step))
                .i64_add();
            body.local_tee(1 + (step * 5) % 8);
        }
        body.end();
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = std::fs::read(guest("echo")).unwrap();
    ModuleSection(&module).append_to_component(&mut component);
    let manifest = "name = \"echo\"\nversion = \"0.9.0\"\nmount = \"/echo\"\nworld = \"plugin\"\n";
    pack(
        &component,
        &PackageParts {
            manifest: manifest.into(),
            ..PackageParts::default()
        },
    )
    .unwrap()
}

#[tokio::test]
async fn component_that_is_dear_to_compile_is_refused_and_the_old_one_serves_on() {
    let dear = dear();
    let limits = [
        ("compile_cpu_ms_max = 2000", "compile_cpu_ms_max"),
        (
            "compile_memory_bytes_max = 300_000_000",
            "compile_memory_bytes_max",
        ),
    ];
    for (limit, reason) in limits {
        let host = Setup::new()
            .guest("echo", &[], "")
            .config(&format!("[engine]\n{limit}\n"))
            .start();
        let key = host.key("acme", &[]);
        let refused = result(admin(&host, Method::POST, "/deployments").body(dear.clone())).await;
        assert_eq!(refused["result"], "refused", "{refused}");
        assert_eq!(refused["step"], "compile", "{refused}");
        assert!(refused["reasons"].to_string().contains(reason), "{refused}");
        let answer = host.get("/echo", &key).send().await.unwrap();
        assert_eq!(answer.headers()["hearth-plugin"], "echo@1");
    }
}
