//! The demo customer of `hearth serve --demo`: created the first time, so that
//! the line which is printed works as it stands.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use hearth_backend::postgres::Server;
use hearth_base::mode;
use hearth_base::secret::RootSecret;
use hearth_runtime::plugin::deployment::Deployment;
use hearth_server::edge::keys::register::Register;
use hearth_server::edge::keys::{Keys, Tier};

const CUSTOMER: &str = "demo";
/// The file in the data folder that has its key.
pub const FILE: &str = "demo-key";

/// The demo customer's key, made and kept in the data folder the first time.
pub async fn key(
    keys: &Keys,
    server: &Server,
    secret: &RootSecret,
    data_dir: &Path,
) -> anyhow::Result<String> {
    let path = data_dir.join(FILE);
    if let Ok(key) = std::fs::read_to_string(&path) {
        let key = key.trim().to_string();
        if keys.authenticate(&key).await.is_ok() {
            return Ok(key);
        }
    }
    let register = Register::new(server, secret);
    let customer = register.ensure_customer(CUSTOMER, Tier::Unlimited).await?;
    let scopes = ["customer".to_string(), "agent".to_string()];
    let key = register
        .create_key(&customer.customer().id, &scopes, None)
        .await?
        .text
        .to_string();
    keep(&path, &key).with_context(|| path.display().to_string())?;
    Ok(key)
}

fn keep(path: &Path, key: &str) -> std::io::Result<()> {
    let mut file = mode::private_file(path)?;
    file.set_len(0)?;
    writeln!(file, "{key}")
}

/// What can be pasted into a shell, as the demo customer: the story of a ticket where
/// tickets are served, else a request that each plugin answers.
pub fn lines(url: &str, key: &str, serving: &[Arc<Deployment>]) -> String {
    if serving.iter().any(|one| &*one.mount == "/support") {
        return tickets(url, key);
    }
    let requests = serving.iter().filter_map(|one| request(url, key, one));
    let requests: Vec<String> = requests.collect();
    match requests.is_empty() {
        true => format!("The key of the demo customer: {key}\n"),
        false => format!("Ask as the demo customer:\n\n{}", requests.concat()),
    }
}

/// The request of its self-test, where that reads and the plugin lies where it says.
fn request(url: &str, key: &str, serving: &Deployment) -> Option<String> {
    let test = serving.manifest.self_test.as_ref()?;
    let path = &test.path;
    let there = test.method == "GET" && *serving.mount == *serving.manifest.mount;
    there.then(|| format!("  curl -s '{url}{path}' -H 'X-API-Key: {key}'\n"))
}

fn tickets(url: &str, key: &str) -> String {
    format!(
        "Create a ticket, as the demo customer:\n\n  \
         curl -s {url}/support/tickets/create -H 'X-API-Key: {key}' \\\n    \
         -d '{{\"subject\":\"Hello\",\"description\":\"My first ticket\",\"priority\":\"medium\"}}'\n\n\
         and read the list back:\n\n  \
         curl -s {url}/support/tickets -H 'X-API-Key: {key}'\n"
    )
}
