//! The rule by which a host serves what another one computed, against a model of a
//! fleet in which everything that takes time may take any time: data is changed,
//! declared stale, told and heard of; computations begin, read, and are written;
//! the log is swept; hosts join and are started anew.
//!
//! What is real here are the [`Invalidations`] of each host. What is asked of them is this:
//! no host serves what was computed from data older than a change that the host has
//! declared stale itself, or has heard of.

use std::collections::HashMap;

use hearth::backend::postgres::invalidations::{Stale, Tick};
use hearth::capability::cache::{Declaration, Invalidations, Moment};
use proptest::prelude::*;

const HOSTS: usize = 2;
const TAGS: usize = 3;
const KEYS: usize = 4;

/// Which tags a value of a key has: one, or two.
fn tags_of(key: usize) -> Vec<usize> {
    match key {
        3 => vec![0, 1],
        key => vec![key],
    }
}

/// What a computation read: of each tag the number of its last change.
type Data = [u64; TAGS];

#[derive(Clone, Debug)]
enum Step {
    /// Data is changed and committed; its tag is declared stale only later.
    Change {
        tag: usize,
    },
    /// A host declares a tag stale whose changes so far it may have made.
    Declare {
        host: usize,
        tag: usize,
    },
    /// What a host declared is committed to the log ...
    Append {
        host: usize,
    },
    /// ... and only then does the host know at which tick.
    Told {
        host: usize,
    },
    Listen {
        host: usize,
    },
    Begin {
        host: usize,
        key: usize,
    },
    Read {
        host: usize,
    },
    Write {
        host: usize,
    },
    Look {
        host: usize,
        key: usize,
    },
    /// As many of the oldest rows go.
    Sweep {
        rows: usize,
    },
    /// A host ends, and another one comes in its place.
    Restart {
        host: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (host, tag, key) = (0..HOSTS, 0..TAGS, 0..KEYS);
    prop_oneof![
        3 => tag.clone().prop_map(|tag| Step::Change { tag }),
        3 => (host.clone(), tag).prop_map(|(host, tag)| Step::Declare { host, tag }),
        3 => host.clone().prop_map(|host| Step::Append { host }),
        3 => host.clone().prop_map(|host| Step::Told { host }),
        4 => host.clone().prop_map(|host| Step::Listen { host }),
        4 => (host.clone(), key.clone()).prop_map(|(host, key)| Step::Begin { host, key }),
        4 => host.clone().prop_map(|host| Step::Read { host }),
        4 => host.clone().prop_map(|host| Step::Write { host }),
        6 => (host.clone(), key).prop_map(|(host, key)| Step::Look { host, key }),
        1 => (1..4usize).prop_map(|rows| Step::Sweep { rows }),
        1 => host.prop_map(|host| Step::Restart { host }),
    ]
}

struct Row {
    tick: Tick,
    host: u64,
    /// `None` where everything goes.
    tag: Option<usize>,
    /// What the declaration was about.
    data: Data,
}

struct Computation {
    key: usize,
    moment: Moment,
    began: Tick,
    read: Option<Data>,
}

#[derive(Clone, Copy)]
struct Entry {
    began: Tick,
    data: Data,
}

struct Host {
    id: u64,
    invalidations: Invalidations,
    heard: Option<Tick>,
    /// What it must not serve anything older than.
    must: Data,
    telling: Option<(Vec<Declaration>, Tick)>,
    computing: Vec<Computation>,
}

impl Host {
    fn new(id: u64, (marks_max, unreported_max): (usize, usize)) -> Host {
        Host {
            id,
            invalidations: Invalidations::new(marks_max, unreported_max),
            heard: None,
            must: [0; TAGS],
            telling: None,
            computing: Vec::new(),
        }
    }

    fn must(&mut self, tag: Option<usize>, data: &Data) {
        for (at, (must, data)) in self.must.iter_mut().zip(data).enumerate() {
            if tag.is_none_or(|tag| tag == at) {
                *must = (*must).max(*data);
            }
        }
    }
}

#[derive(Default)]
struct Fleet {
    /// What each host has room for.
    room: (usize, usize),
    hosts: Vec<Host>,
    born: u64,
    data: Data,
    clock: Tick,
    swept: Tick,
    log: Vec<Row>,
    store: HashMap<usize, Entry>,
    /// What each declaration that waits was about, by host and tag.
    about: HashMap<(u64, usize), Data>,
    served: usize,
}

impl Fleet {
    fn new(room: (usize, usize)) -> Fleet {
        Fleet {
            room,
            hosts: (0..HOSTS as u64).map(|id| Host::new(id, room)).collect(),
            born: HOSTS as u64,
            ..Fleet::default()
        }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Change { tag } => self.data[tag] += 1,
            Step::Declare { host, tag } => self.declare(host, tag),
            Step::Append { host } => self.append(host),
            Step::Told { host } => {
                let host = &mut self.hosts[host];
                if let Some((declared, tick)) = host.telling.take() {
                    host.invalidations.report(&declared, tick);
                }
            }
            Step::Listen { host } => self.listen(host),
            Step::Begin { host, key } => {
                let host = &mut self.hosts[host];
                if let Some(began) = host.heard {
                    host.computing.push(Computation {
                        key,
                        moment: host.invalidations.now(),
                        began,
                        read: None,
                    });
                }
            }
            Step::Read { host } => {
                let computing = &mut self.hosts[host].computing;
                if let Some(one) = computing.iter_mut().find(|one| one.read.is_none()) {
                    one.read = Some(self.data);
                }
            }
            Step::Write { host } => self.write(host),
            Step::Look { host, key } => self.look(host, key),
            Step::Sweep { rows } => {
                let gone = rows.min(self.log.len());
                let last = self.log.drain(..gone).map(|row| row.tick).max();
                self.swept = self.swept.max(last.unwrap_or(0));
            }
            Step::Restart { host } => {
                self.hosts[host] = Host::new(self.born, self.room);
                self.born += 1;
            }
        }
    }

    fn declare(&mut self, host: usize, tag: usize) {
        let data = self.data;
        let host = &mut self.hosts[host];
        host.invalidations
            .declare(None, Stale::Tag(tag.to_string()));
        host.must(Some(tag), &data);
        self.about.insert((host.id, tag), data);
    }

    fn append(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        let declared = host.invalidations.unreported();
        if declared.is_empty() || host.telling.is_some() {
            return;
        }
        self.clock += 1;
        for one in &declared {
            let tag = match &one.what {
                Stale::Tag(tag) => Some(tag.parse().unwrap()),
                _ => None,
            };
            // Everything is told in place of more declarations than there was room for.
            let data = match tag {
                Some(tag) => self.about[&(host.id, tag)],
                None => host.must,
            };
            self.log.push(Row {
                tick: self.clock,
                host: host.id,
                tag,
                data,
            });
        }
        host.telling = Some((declared, self.clock));
    }

    fn listen(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        let after = match host.heard {
            Some(heard) if self.swept <= heard => heard,
            _ => {
                host.invalidations.begin(self.swept);
                0
            }
        };
        let own = host.id;
        for row in self
            .log
            .iter()
            .filter(|row| row.tick > after && row.host != own)
        {
            let what = match row.tag {
                Some(tag) => Stale::Tag(tag.to_string()),
                None => Stale::Plugin,
            };
            host.invalidations.heard(None, &what, row.tick);
            host.must(row.tag, &row.data);
        }
        host.heard = Some(self.clock);
    }

    fn write(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        let read = host.computing.iter().position(|one| one.read.is_some());
        let Some(at) = read else { return };
        let done = host.computing.remove(at);
        let tags: Vec<_> = tags_of(done.key)
            .iter()
            .map(|tag| host.invalidations.tag(None, &tag.to_string()))
            .collect();
        if host.invalidations.holds(done.moment, &tags)
            && host.invalidations.holds_since(done.began, &tags)
        {
            let (began, data) = (done.began, done.read.unwrap());
            self.store.insert(done.key, Entry { began, data });
        }
    }

    fn look(&mut self, host: usize, key: usize) {
        let host = &self.hosts[host];
        let (Some(entry), Some(_)) = (self.store.get(&key), host.heard) else {
            return;
        };
        let tag = |tag: &usize| host.invalidations.tag(None, &tag.to_string());
        let tags: Vec<_> = tags_of(key).iter().map(tag).collect();
        if !host.invalidations.holds_since(entry.began, &tags) {
            return;
        }
        self.served += 1;
        for tag in tags_of(key) {
            assert!(
                entry.data[tag] >= host.must[tag],
                "host {} serves key {key} from change {} of tag {tag} and knows of change {}",
                host.id,
                entry.data[tag],
                host.must[tag]
            );
        }
    }
}

/// Of the cases of one run; `make soak` has its own number.
fn cases() -> u32 {
    u32::try_from(crate::harness::host::runs(15_000, 150_000)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// There is room for little, so that invalidations are forgotten and tellings run over.
    #[test]
    fn no_host_serves_what_is_older_than_a_change_it_has_heard_of(
        room in (2..7usize, 1..4usize),
        steps in proptest::collection::vec(step(), 1..400)
    ) {
        let mut fleet = Fleet::new(room);
        for step in &steps {
            fleet.act(step);
        }
    }
}

/// A rule that serves nothing would keep the promise, too.
#[test]
fn most_of_what_holds_is_served() {
    let mut fleet = Fleet::new((4, 2));
    let mut looked = 0;
    for round in 0..1_000 {
        let (writer, reader) = (round % HOSTS, (round + 1) % HOSTS);
        let (key, tag) = (round % KEYS, (round + 1) % TAGS);
        for step in [
            Step::Change { tag },
            Step::Declare { host: reader, tag },
            Step::Append { host: reader },
            Step::Told { host: reader },
            Step::Listen { host: writer },
            Step::Listen { host: reader },
            Step::Begin { host: writer, key },
            Step::Read { host: writer },
            Step::Write { host: writer },
            Step::Look { host: reader, key },
        ] {
            looked += usize::from(matches!(step, Step::Look { .. }));
            fleet.act(&step);
        }
    }
    assert_eq!(fleet.served, looked);
}
