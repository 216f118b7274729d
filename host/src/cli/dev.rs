//! `hearth dev`: serves a plugin while it is written. Each version that is saved is built
//! and deployed in this process; one that is refused leaves the version before serving.
//!
//! ```text
//! hearth dev
//! hearth dev notes
//! ```

mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::watch::Watch;
use super::admin::Error;
use super::admin::table::{line, plain};
use super::{build, demo, deploy, open, serve};
use hearth_runtime::plugin::deployment::Approved;
use hearth_runtime::plugin::package::Package;
use hearth_server::config::Config;
use hearth_server::deploy::approval::{asked, asked_scans, together};
use hearth_server::deploy::rollout::Rollout;
use hearth_server::deploy::steps::{Rejected, Serving, Steps};

/// Where data lie unless the configuration says it.
const DATA_DIR_DEFAULT: &str = ".hearth";

/// Serves a plugin with a database of its own, and builds and deploys each version of it
/// that is saved. What it asks for is granted. Where a migration is changed that has run,
/// its tables are dropped and made anew.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The configuration is hearth.toml in the folder, unless --config names another \
                  one. Ctrl-C stops."
)]
pub struct Args {
    /// The plugin's folder, with Cargo.toml and plugin.toml.
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// Runs the command until it is interrupted.
pub fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<()> {
    let develop = Develop {
        dir: args.dir.clone(),
        name: build::name(&args.dir)?,
    };
    let config = develop.config(config)?;
    serve::start(config, true, Some(develop))
}

/// A plugin that is developed.
pub(super) struct Develop {
    dir: PathBuf,
    /// As its manifest had it when it was built last.
    name: String,
}

/// Where the host listens, and the demo customer's key.
pub(super) struct Request {
    pub url: String,
    pub key: String,
}

impl Develop {
    /// The host's configuration. The plugin's own file is the one that is built here.
    ///
    /// # Errors
    /// Where a database is configured: what is developed must not drop tables in it.
    fn config(&self, path: Option<&Path>) -> anyhow::Result<Config> {
        let own = self.dir.join(build::CONFIG);
        let path = path.or_else(|| own.is_file().then_some(own.as_path()));
        let mut config = open::config(path)?;
        if config.database.url.is_some() {
            return Err(Error::Usage(
                "a database is configured, and `hearth dev` drops tables where a migration is \
                 changed: unset database.url (HEARTH_DATABASE_URL), so that it serves with a \
                 database of its own"
                    .into(),
            )
            .into());
        }
        if config.data_dir == Path::new(DATA_DIR_DEFAULT) {
            config.data_dir = self.dir.join(DATA_DIR_DEFAULT);
        }
        if let Some(section) = config.plugins.get_mut(&self.name) {
            section.file = None;
        }
        Ok(config)
    }

    pub(super) fn is_of(&self, plugin: &str) -> bool {
        self.name == plugin
    }

    /// Builds and deploys it, and again whenever something of it is saved.
    pub(super) async fn run(mut self, rollout: Arc<Rollout>, request: Request) {
        let mut watch = match Watch::open(&self.dir) {
            Ok(watch) => watch,
            Err(error) => {
                let dir = self.dir.display();
                return eprintln!("hearth: {dir} cannot be watched: {error}");
            }
        };
        let mut has_shown = false;
        loop {
            let served = self.round(&rollout).await;
            if served && !has_shown {
                let serving = rollout.router.serving(&self.name);
                let serving: Vec<_> = serving.into_iter().collect();
                println!("\n{}", demo::lines(&request.url, &request.key, &serving));
                has_shown = true;
            }
            println!("waiting for changes in {}", self.dir.display());
            if watch.changed().await.is_none() {
                return;
            }
        }
    }

    /// One version, from its source to where it serves. Answers whether it does.
    async fn round(&mut self, rollout: &Rollout) -> bool {
        let (began, dir) = (Instant::now(), self.dir.clone());
        println!("building {}", self.name);
        let built = tokio::task::spawn_blocking(move || build::build(&dir)).await;
        let built = built.map_err(anyhow::Error::from).and_then(|built| built);
        let built = match built {
            Ok((_, package)) => {
                println!("built in {:.1} s", began.elapsed().as_secs_f64());
                self.deploy(rollout, package).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &built {
            eprintln!("hearth: {}", plain(&format!("{error:#}")));
            self.tell_remaining(rollout);
        }
        built.is_ok()
    }

    fn tell_remaining(&self, rollout: &Rollout) {
        match rollout.router.serving(&self.name) {
            Some(serving) => eprintln!("{} still serves", serving.label()),
            None => eprintln!("nothing of {} serves", self.name),
        }
    }

    async fn deploy(&mut self, rollout: &Rollout, package: Package) -> anyhow::Result<()> {
        let began = Instant::now();
        let name = package.manifest.name.clone();
        if name != self.name {
            // It would be in the way of the mount and the queues of its next self.
            rollout.undeploy(&self.name).await?;
            self.name = name;
        }
        let reset = self.reset_changed(rollout, &package).await;
        reset.map_err(rejection)?;
        let served = granted(rollout, &package).await;
        let (serving, given) = served.map_err(rejection)?;
        println!("granted: {}", shown(&given));
        let (label, seconds) = (line(&serving.label), began.elapsed().as_secs_f64());
        println!("{label} serves after {seconds:.1} s");
        Ok(())
    }

    /// Drops the plugin's tables where its migrations are no longer those that made them.
    async fn reset_changed(&self, rollout: &Rollout, package: &Package) -> Result<(), Rejected> {
        let changed = rollout.changed_migrations(package).await?;
        if changed.is_empty() {
            return Ok(());
        }
        println!(
            "{} changed after it had run: the tables of {} are dropped with all rows, and made anew",
            line(&changed.join(", ")),
            self.name
        );
        rollout.reset(&self.name).await
    }
}

/// Deploys it with all that it asks for, and answers what that is.
async fn granted(rollout: &Rollout, package: &Package) -> Result<(Serving, Approved), Rejected> {
    let mut given = asked(package);
    loop {
        let bytes: Bytes = package.component.clone();
        let steps = &mut Steps::silent();
        let rejected = match rollout.deploy(bytes, &given, true, steps).await {
            Ok(serving) => return Ok((serving, given)),
            Err(rejected) => rejected,
        };
        let more = together(&given, &asked_scans(&rejected));
        // Each time there are more of a package's statements among them, or it ends.
        if more.scans == given.scans {
            return Err(rejected);
        }
        given = more;
    }
}

fn rejection(rejected: Rejected) -> anyhow::Error {
    let (step, reasons) = (rejected.step, &rejected.reasons);
    let text = deploy::rejection(&rejected.plugin, step, reasons, "deployed");
    anyhow::anyhow!("{}", text.trim_end())
}

fn shown(given: &Approved) -> String {
    let named = |kind: &'static str, names: &[String]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("{kind}{}", line(name)))
            .collect()
    };
    let all = [
        named("", &given.grants),
        named("function:", &given.functions),
        named("shared:", &given.shared),
        named("scan:", &given.scans),
    ];
    match all.concat() {
        none if none.is_empty() => "nothing, as it asks for nothing".into(),
        names => names.join(", "),
    }
}
