//! Everyone who listens on this host, and how far the log was handed out to them.
//!
//! Whatever the log holds up to the hub's position was offered to every listener of
//! its channel. A listener joins behind, reads the log until it has caught up with
//! that position, and is offered everything from then on: under one lock, so that
//! nothing falls between and nothing comes twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicI64,
    Ordering::{Acquire, Release},
};

use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

use super::channel::Space;
use super::listener::{Ending, Listener, ListenerBounds};
use super::metrics::PushMetrics;
use super::recent::Recent;
use super::{Config, StreamLimit};
use hearth_backend::postgres::events::{ChannelPosition, Newest, News, Position};

pub struct Hub {
    streams_max: usize,
    customer_streams_max: usize,
    bounds: ListenerBounds,
    metrics: PushMetrics,
    /// As in the state; readable without its lock.
    position: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` until the log was first read.
    position: Option<Position>,
    recent: Recent,
    listeners: HashMap<u64, Arc<Listener>>,
    channels: HashMap<Uuid, HashMap<u64, Arc<Listener>>>,
    customers: HashMap<Option<Arc<str>>, usize>,
    keys: HashMap<Arc<str>, usize>,
    next: u64,
    draining: bool,
}

/// Who joins.
pub struct Joining {
    pub space: Space,
    pub key: Option<Arc<str>>,
    pub channels: Box<[Uuid]>,
    /// Up to where each channel is known, where that is known without asking.
    pub places: Option<Vec<ChannelPosition>>,
}

impl Hub {
    pub fn new(config: &Config, metrics: PushMetrics) -> Hub {
        Hub {
            streams_max: config.streams_max,
            customer_streams_max: config.customer_streams_max,
            bounds: ListenerBounds::of(config),
            metrics,
            position: AtomicI64::new(-1),
            state: Mutex::default(),
        }
    }

    /// Up to where the log was handed out; `None` where it was not read yet. Read
    /// before a listener is found to have nothing waiting, it tells how far that
    /// listener is.
    pub fn position(&self) -> Option<Position> {
        let position = self.position.load(Acquire);
        (position >= 0).then_some(Position(position))
    }

    /// A new listener. With it the place up to which it has everything, where it is
    /// not behind.
    pub fn join(&self, joining: Joining) -> Result<(Arc<Listener>, Option<Position>), StreamLimit> {
        let mut state = self.state.lock();
        self.check_room(&state, &joining.space)?;
        let (number, known) = (state.next, state.known(joining.places.as_deref()));
        state.next += 1;
        let Joining {
            space,
            key,
            channels,
            ..
        } = joining;
        let listener = Arc::new(Listener::new(number, space, key, channels));
        if let Some(known) = known {
            listener.go_live(known);
        }
        if state.draining {
            listener.end(Ending::Drained);
        }
        state.enter(&listener);
        drop(state);
        self.metrics.streams(&listener.space.plugin).increment(1.0);
        Ok((listener, known))
    }

    fn check_room(&self, state: &State, space: &Space) -> Result<(), StreamLimit> {
        let of_customer = state.customers.get(&space.customer).copied();
        match () {
            () if state.listeners.len() >= self.streams_max => Err(StreamLimit::HostFull),
            () if of_customer.unwrap_or(0) >= self.customer_streams_max => {
                Err(StreamLimit::CustomerFull)
            }
            () => Ok(()),
        }
    }

    pub fn leave(&self, listener: &Listener) {
        self.state.lock().exit(listener);
        self.metrics.streams(&listener.space.plugin).decrement(1.0);
    }

    /// A listener that has read everything up to `reached` is offered what comes,
    /// unless that is less than others were already.
    pub fn go_live(&self, listener: &Listener, reached: Position) {
        let state = self.state.lock();
        if state.position.is_some_and(|position| reached >= position) {
            listener.go_live(reached);
        }
    }

    /// Begins with the end of the log as it is.
    pub fn begin(&self, newest: &Newest) {
        let mut state = self.state.lock();
        state.recent = Recent::since(newest.since);
        for (position, channel) in &newest.events {
            state.recent.add(*position, *channel);
        }
        self.move_to(&mut state, newest.reached);
    }

    /// Those of the events that anybody here listens to.
    pub fn wanted(&self, events: &[(Position, Uuid)]) -> Vec<Position> {
        let state = self.state.lock();
        let wanted = events
            .iter()
            .filter(|(_, channel)| state.channels.contains_key(channel));
        wanted.map(|(position, _)| *position).collect()
    }

    /// What this host never saw and is gone, its listeners find out from the log.
    pub fn lose(&self, news: &News) {
        self.state.lock().lose(news);
    }

    /// Offers the next event to those who listen, and answers how many they are.
    /// Without a frame they have to read it.
    pub fn offer(&self, position: Position, channel: Uuid, frame: Option<&Bytes>) -> usize {
        let mut state = self.state.lock();
        state.recent.add(position, channel);
        let listeners = state.channels.get(&channel);
        let count = listeners.map_or(0, HashMap::len);
        for listener in listeners.into_iter().flat_map(HashMap::values) {
            match frame {
                Some(frame) => listener.offer(position, frame, &self.bounds),
                None => listener.fall_behind(Position(position.0.saturating_sub(1))),
            }
        }
        self.move_to(&mut state, position);
        drop(state);
        self.metrics.offered.increment(count as u64);
        count
    }

    /// Everything up to here was offered.
    pub fn reach(&self, position: Position) {
        self.move_to(&mut self.state.lock(), position);
    }

    fn move_to(&self, state: &mut State, position: Position) {
        state.position = Some(position);
        self.position.store(position.0, Release);
    }

    /// The keys with which streams were opened.
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.state.lock().keys.keys().cloned().collect()
    }

    pub fn end_keys(&self, keys: &HashSet<Arc<str>>) {
        let of = |one: &Listener| one.key.as_ref().is_some_and(|key| keys.contains(key));
        self.end(Ending::KeyEnded, of);
    }

    pub fn end_plugin(&self, plugin: &str) {
        self.end(Ending::Gone, |one| &*one.space.plugin == plugin);
    }

    /// Ends all streams, and every one that is still opened at once.
    pub fn drain(&self) {
        self.state.lock().draining = true;
        self.end(Ending::Drained, |_| true);
    }

    fn end(&self, ending: Ending, which: impl Fn(&Listener) -> bool) {
        let state = self.state.lock();
        let ended = state.listeners.values().filter(|one| which(one));
        ended.for_each(|one| one.end(ending));
    }
}

impl State {
    fn enter(&mut self, listener: &Arc<Listener>) {
        self.listeners.insert(listener.number, listener.clone());
        for channel in &listener.channels {
            let of_channel = self.channels.entry(*channel).or_default();
            of_channel.insert(listener.number, listener.clone());
        }
        *self
            .customers
            .entry(listener.space.customer.clone())
            .or_default() += 1;
        if let Some(key) = &listener.key {
            *self.keys.entry(key.clone()).or_default() += 1;
        }
    }

    fn exit(&mut self, listener: &Listener) {
        self.listeners.remove(&listener.number);
        for channel in &listener.channels {
            if let Some(of_channel) = self.channels.get_mut(channel) {
                of_channel.remove(&listener.number);
                if of_channel.is_empty() {
                    self.channels.remove(channel);
                }
            }
        }
        count_down(&mut self.customers, &listener.space.customer);
        if let Some(key) = &listener.key {
            count_down(&mut self.keys, key);
        }
    }

    /// The hub's position, where nothing in these channels lies between it and what
    /// is known of them.
    fn known(&self, places: Option<&[ChannelPosition]>) -> Option<Position> {
        let (position, places) = (self.position?, places?);
        let fresh =
            |place: &ChannelPosition| place.after <= position && self.recent.has_none(place);
        places.iter().all(fresh).then_some(position)
    }

    fn lose(&mut self, news: &News) {
        let known = self.position.unwrap_or_default();
        if news.lost_all {
            self.recent = Recent::since(news.reached);
            self.listeners
                .values()
                .for_each(|one| one.fall_behind(known));
        }
        for channel in &news.lost {
            if let Some(listeners) = self.channels.get(channel) {
                listeners.values().for_each(|one| one.fall_behind(known));
            }
        }
    }
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listener::Taken;
    use super::*;
    use hearth_base::telemetry::{HostMetrics, Metrics};

    const INBOX: Uuid = Uuid::from_u128(1);

    /// A hub that has handed out everything up to 10.
    fn hub(streams_max: usize) -> Hub {
        let metrics = HostMetrics::new(&Metrics::new(&Default::default()));
        let config = Config {
            streams_max,
            ..Config::default()
        };
        let hub = Hub::new(&config, PushMetrics::new(&metrics));
        hub.begin(&Newest {
            events: vec![(Position(8), INBOX)],
            since: Position(5),
            reached: Position(10),
        });
        hub
    }

    fn join(hub: &Hub, after: Option<i64>) -> (Arc<Listener>, Option<Position>) {
        let place = |after| ChannelPosition {
            channel: INBOX,
            after: Position(after),
        };
        let joining = Joining {
            space: Space {
                plugin: "p".into(),
                customer: None,
            },
            key: None,
            channels: [INBOX].into(),
            places: after.map(|after| vec![place(after)]),
        };
        hub.join(joining).unwrap()
    }

    fn offer(hub: &Hub, position: i64) -> usize {
        let frame = Bytes::from(position.to_string());
        hub.offer(Position(position), INBOX, Some(&frame))
    }

    #[test]
    fn only_who_has_everything_joins_up_to_date() {
        let hub = hub(10);
        assert_eq!(join(&hub, Some(8)).1, Some(Position(10)));
        for behind in [Some(7), Some(4), Some(11), None] {
            let (listener, known) = join(&hub, behind);
            assert_eq!(known, None, "{behind:?}");
            assert!(!listener.is_live());
        }
    }

    #[test]
    fn who_read_less_than_others_were_offered_reads_on() {
        let hub = hub(10);
        let (listener, _) = join(&hub, None);
        // It reads up to 11, and before it says so the next event is handed out.
        offer(&hub, 12);
        hub.go_live(&listener, Position(11));
        assert!(!listener.is_live());
        hub.go_live(&listener, Position(13));
        offer(&hub, 13);
        offer(&hub, 14);
        assert_eq!(listener.take(), Taken::Frame("14".into()));
        assert_eq!(listener.take(), Taken::Nothing);
    }

    #[test]
    fn place_is_free_again_when_a_listener_has_left() {
        let hub = hub(1);
        let (listener, _) = join(&hub, Some(8));
        assert_eq!(offer(&hub, 11), 1);
        hub.leave(&listener);
        assert_eq!(offer(&hub, 12), 0);
        join(&hub, Some(12));
    }

    #[test]
    fn what_was_lost_unseen_has_to_be_read() {
        let hub = hub(10);
        let (listener, _) = join(&hub, Some(8));
        let lost = [INBOX].into_iter().collect();
        let news = News {
            events: Vec::new(),
            reached: Position(20),
            more: false,
            lost_all: false,
            lost,
        };
        hub.lose(&news);
        hub.reach(news.reached);
        assert_eq!(listener.take(), Taken::Behind(Position(10)));
    }
}
