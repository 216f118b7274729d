//! Notifications, at `/notifications`: what other plugins and the customer's own programs
//! tell, kept in an inbox, pushed as it comes, muted, held back and gathered as its
//! reader wants.
//!
//! # Whose
//! Everything is the caller's customer's. Each customer has an inbox of its own and one
//! for each `recipient` that it names, such as `user:42`: `recipient` in the body of
//! `POST /notifications`, `?recipient=` everywhere else. There is nothing to be set up.
//! Events of other plugins go to the customer's own inbox.
//!
//! # What is stored where
//! In DynamoDB, through `documents`. Each listing and each count is one Query of one
//! partition, from the newest down to where nothing can match any more.
//!
//! | partition | sort key | holds |
//! |---|---|---|
//! | `inbox/<recipient>` | `<id>` | a notification: written once, never changed |
//! | | `<id>/archived`, `/read`, `/seen` | `{on, at}`: a mark, which stands beside it |
//! | | `<id>/snoozed` | `{until}` |
//! | | `<id>/deleted` | what stays of a deleted one, so that it does not come back |
//! | | `watermarks` | all marks "of all up to here", behind every notification |
//! | `later/<recipient>` | `<id>` | one that is held for the end of quiet hours, and of no inbox |
//! | | `<window>/<id>` | one that waits for the digest of a window (`dgs_…`) |
//! | | `window/<category>/<hash of the key>` | until when the window of a digest is open |
//! | `preferences` | `/<recipient>` | its preferences |
//! | `templates` | `<template>` | a template |
//!
//! An id is `ntf_` and a UUID of version 7, so that ids sort by time. Of a request with an
//! `Idempotency-Key` it derives from the key, the time at which the host first saw it and
//! the place in the request; of an event from the event's id and time. So what is sent
//! again is written again as it was, and its marks, being other items, stay: a batch
//! writer replaces whole items and asks nothing first. What belongs to a notification lies
//! directly behind it, and the same Query finds it. A notification and its marks expire
//! together.
//!
//! "All are read" writes one item (`watermarks`), whatever there is. Of a mark and a
//! watermark the later word holds. Where a mark says the contrary of a watermark above
//! it, a floor in the watermarks says how far down one has to look for such.
//!
//! # What is told when
//! Once the put was acknowledged: to the stream, and where preferences want it as the
//! event `notification.created` to the webhooks. In quiet hours the stream hears of it at
//! their end, by a delayed message of the queue `notification-digests`; so do digests and
//! snoozes end. All of that happens at least once; ids are the same each time.

mod category;
mod entry;
mod inbox;
mod mark;
mod message;
mod preferences;
mod quiet;
mod render;
mod watermarks;
