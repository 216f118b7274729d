//! One listener and the events that wait for it, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::Config;
use super::channel::Space;
use hearth_backend::postgres::events::Position;

/// Room that an empty queue may keep.
const ROOM_KEPT: usize = 8;

/// Why the host ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The host stops.
    Drained,
    /// The plugin was taken away, or may push no more.
    Gone,
    /// The key was revoked or has expired.
    KeyEnded,
    /// The client does not read.
    Slow,
}

impl Ending {
    /// The label of metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Ending::Drained => "drained",
            Ending::Gone => "gone",
            Ending::KeyEnded => "key_ended",
            Ending::Slow => "slow",
        }
    }
}

/// What a listener may have waiting.
#[derive(Clone, Copy, Debug)]
pub struct ListenerBounds {
    pub events_max: usize,
    pub bytes_max: usize,
    pub slow: Duration,
}

impl ListenerBounds {
    pub fn of(config: &Config) -> ListenerBounds {
        ListenerBounds {
            events_max: config.listener_events_max,
            bytes_max: config.listener_bytes_max,
            slow: Duration::from_millis(config.slow_ms_max),
        }
    }
}

/// Who listens to what. The hub offers, the stream takes.
pub struct Listener {
    pub number: u64,
    pub space: Space,
    pub key: Option<Arc<str>>,
    pub channels: Box<[Uuid]>,
    queue: Mutex<Queue>,
    told: Notify,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<(Position, Bytes)>,
    bytes: usize,
    /// The last that was offered.
    offered: Position,
    /// From where on the log has to be read; nothing is offered meanwhile.
    behind: Option<Position>,
    /// Since when the first frame waits to be taken.
    waits_since: Option<Instant>,
    ended: Option<Ending>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Frame(Bytes),
    /// The log has to be read from here on.
    Behind(Position),
    Ended(Ending),
    Nothing,
}

impl Listener {
    /// Behind from the beginning, until [`Listener::go_live`].
    pub fn new(number: u64, space: Space, key: Option<Arc<str>>, channels: Box<[Uuid]>) -> Self {
        let queue = Queue {
            behind: Some(Position::default()),
            ..Queue::default()
        };
        Listener {
            number,
            space,
            key,
            channels,
            queue: Mutex::new(queue),
            told: Notify::new(),
        }
    }

    /// Offers an event. Where there is no room the log has it: a listener that was
    /// merely flooded reads it there, and one that takes nothing is cut.
    pub fn offer(&self, position: Position, frame: &Bytes, bounds: &ListenerBounds) {
        let mut queue = self.queue.lock();
        if queue.behind.is_some() || queue.ended.is_some() || position <= queue.offered {
            return;
        }
        let bytes = queue.bytes.saturating_add(frame.len());
        let full = queue.frames.len() >= bounds.events_max || bytes > bounds.bytes_max;
        match full && !queue.frames.is_empty() {
            true => queue.overflow(bounds),
            false => {
                queue.waits_since.get_or_insert_with(Instant::now);
                queue.frames.push_back((position, frame.clone()));
                (queue.bytes, queue.offered) = (bytes, position);
            }
        }
        drop(queue);
        self.told.notify_one();
    }

    /// Something past `known` cannot be offered: it has to be read.
    pub fn fall_behind(&self, known: Position) {
        let mut queue = self.queue.lock();
        if queue.behind.is_none() {
            queue.behind = Some(known.max(queue.offered));
        }
        drop(queue);
        self.told.notify_one();
    }

    /// Everything up to `reached` was read, and everything past it is offered.
    pub fn go_live(&self, reached: Position) {
        let mut queue = self.queue.lock();
        queue.behind = None;
        queue.offered = reached;
    }

    pub fn is_live(&self) -> bool {
        self.queue.lock().behind.is_none()
    }

    /// A host that stops lets its listeners have what waits; else nothing more is
    /// sent.
    pub fn end(&self, ending: Ending) {
        let mut queue = self.queue.lock();
        queue.ended.get_or_insert(ending);
        if ending != Ending::Drained {
            queue.clear();
        }
        drop(queue);
        self.told.notify_one();
    }

    pub fn take(&self) -> Taken {
        let mut queue = self.queue.lock();
        if let Some((_, frame)) = queue.frames.pop_front() {
            queue.taken(frame.len());
            return Taken::Frame(frame);
        }
        match (queue.ended, queue.behind) {
            (Some(ending), _) => Taken::Ended(ending),
            (None, Some(from)) => Taken::Behind(from),
            (None, None) => Taken::Nothing,
        }
    }

    /// Until there may be something else to be done.
    pub async fn wait(&self) {
        self.told.notified().await;
    }
}

impl Queue {
    fn taken(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.waits_since = (!self.frames.is_empty()).then(Instant::now);
        if self.frames.is_empty() && self.frames.capacity() > ROOM_KEPT {
            self.frames = VecDeque::new();
        }
    }

    fn overflow(&mut self, bounds: &ListenerBounds) {
        let first = self.frames.front().map(|(position, _)| *position);
        let slow = self
            .waits_since
            .is_some_and(|since| since.elapsed() >= bounds.slow);
        match slow {
            true => self.ended = Some(Ending::Slow),
            false => self.behind = first.map(|first| Position(first.0.saturating_sub(1))),
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.frames = VecDeque::new();
        (self.bytes, self.waits_since) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ListenerBounds = ListenerBounds {
        events_max: 2,
        bytes_max: 10,
        slow: Duration::from_secs(3_600),
    };

    fn live() -> Listener {
        let space = Space {
            plugin: "p".into(),
            customer: None,
        };
        let listener = Listener::new(1, space, None, Box::default());
        listener.go_live(Position(10));
        listener
    }

    fn offer(listener: &Listener, position: i64, frame: &'static str) {
        listener.offer(Position(position), &frame.into(), &BOUNDS);
    }

    #[test]
    fn frames_come_in_order_and_none_twice() {
        let listener = live();
        offer(&listener, 10, "known");
        offer(&listener, 11, "a");
        offer(&listener, 11, "again");
        offer(&listener, 12, "b");
        assert_eq!(listener.take(), Taken::Frame("a".into()));
        assert_eq!(listener.take(), Taken::Frame("b".into()));
        assert_eq!(listener.take(), Taken::Nothing);
    }

    #[test]
    fn flooded_listener_reads_the_log_from_what_it_has_not_taken() {
        for (second, third) in [("b", "c"), ("four", "sixsix")] {
            let listener = live();
            offer(&listener, 15, "a");
            offer(&listener, 16, second);
            offer(&listener, 17, third);
            assert_eq!(listener.take(), Taken::Behind(Position(14)));
            offer(&listener, 18, "d");
            listener.go_live(Position(18));
            offer(&listener, 18, "d");
            offer(&listener, 19, "e");
            assert_eq!(listener.take(), Taken::Frame("e".into()));
        }
    }

    #[test]
    fn listener_that_takes_nothing_is_cut_when_there_is_no_more_room() {
        let listener = live();
        offer(&listener, 15, "a");
        offer(&listener, 16, "b");
        let slow = Duration::ZERO;
        listener.offer(
            Position(17),
            &"c".into(),
            &ListenerBounds { slow, ..BOUNDS },
        );
        assert_eq!(listener.take(), Taken::Ended(Ending::Slow));
    }

    #[test]
    fn stopping_host_hands_out_what_waits_and_nothing_goes_to_an_ended_key() {
        let (drained, revoked) = (live(), live());
        for (listener, ending) in [(&drained, Ending::Drained), (&revoked, Ending::KeyEnded)] {
            offer(listener, 11, "a");
            listener.end(ending);
        }
        assert_eq!(drained.take(), Taken::Frame("a".into()));
        assert_eq!(drained.take(), Taken::Ended(Ending::Drained));
        assert_eq!(revoked.take(), Taken::Ended(Ending::KeyEnded));
    }

    #[test]
    fn listener_that_cannot_be_offered_everything_reads_on_from_what_it_was() {
        let listener = live();
        offer(&listener, 11, "a");
        listener.fall_behind(Position(12));
        assert_eq!(listener.take(), Taken::Frame("a".into()));
        assert_eq!(listener.take(), Taken::Behind(Position(12)));
    }
}
