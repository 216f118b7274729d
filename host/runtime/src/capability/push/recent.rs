//! The positions of the newest events of all channels.

use std::collections::VecDeque;

use uuid::Uuid;

use hearth_backend::postgres::events::{ChannelPosition, Position};

/// Events that a host remembers, so that a client which comes back soon costs no
/// query.
pub const RECENT_MAX: usize = 10_000;

/// The newest events of all channels.
#[derive(Default)]
pub struct Recent {
    events: VecDeque<(Position, Uuid)>,
    /// Nothing is missing past this.
    since: Position,
}

impl Recent {
    pub fn since(since: Position) -> Recent {
        Recent {
            events: VecDeque::new(),
            since,
        }
    }

    pub fn add(&mut self, position: Position, channel: Uuid) {
        if self.events.len() >= RECENT_MAX
            && let Some((oldest, _)) = self.events.pop_front()
        {
            self.since = self.since.max(oldest);
        }
        self.events.push_back((position, channel));
    }

    /// Whether nothing came in the channel after the place, for certain.
    pub fn has_none(&self, place: &ChannelPosition) -> bool {
        let first = self
            .events
            .partition_point(|(position, _)| *position <= place.after);
        let mut later = self.events.range(first..);
        place.after >= self.since && later.all(|(_, channel)| *channel != place.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_remembered_is_known_to_be_nothing() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut recent = Recent::since(Position(5));
        recent.add(Position(6), one);
        recent.add(Position(8), other);
        let none = |channel, after| {
            let after = Position(after);
            recent.has_none(&ChannelPosition { channel, after })
        };
        assert!(none(one, 6) && none(one, 7) && none(other, 8));
        assert!(!none(one, 5) && !none(other, 6) && !none(other, 7));
        assert!(!none(Uuid::from_u128(3), 4) && none(Uuid::from_u128(3), 5));
    }

    #[test]
    fn what_is_forgotten_is_no_longer_known() {
        let mut recent = Recent::since(Position(0));
        for number in 1..=RECENT_MAX as i64 + 1 {
            recent.add(Position(number), Uuid::from_u128(1));
        }
        let channel = Uuid::from_u128(2);
        let none = |after| {
            recent.has_none(&ChannelPosition {
                channel,
                after: Position(after),
            })
        };
        assert!(!none(0) && none(1));
        assert_eq!(recent.events.len(), RECENT_MAX);
    }
}
