//! One call to a backend for what many send at the same time.
//!
//! What is added while nothing is under way goes at once; what is added meanwhile
//! waits for the next call and goes together. So a lone message waits for nobody,
//! and a crowd costs a few calls. What waits is bounded, and of that what one customer
//! may have waiting.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use hearth_base::budget::{Budget, Customer, Full, Part};

/// Bounds of one call, and of what waits.
#[derive(Clone, Copy, Debug)]
pub struct MergeLimits {
    pub call_items_max: usize,
    /// An item that is larger by itself goes alone.
    pub call_bytes_max: usize,
    /// Calls under way at once. With one, everything arrives in the order in which
    /// it was added.
    pub calls_max: usize,
    pub waiting_items_max: usize,
    pub waiting_bytes_max: usize,
    /// What one customer may have of both, in percent.
    pub customer_percent_max: u64,
}

type Call<I, O> = Box<dyn Fn(Vec<I>) -> Pin<Box<dyn Future<Output = Vec<O>> + Send>> + Send + Sync>;

/// Gathers items and hands them over together.
pub struct Merge<I, O> {
    limits: MergeLimits,
    call: Call<I, O>,
    items: Budget<Customer>,
    bytes: Budget<Customer>,
    state: Mutex<State<I, O>>,
}

struct State<I, O> {
    waiting: VecDeque<QueuedItem<I, O>>,
    calls: usize,
}

struct QueuedItem<I, O> {
    item: I,
    bytes: usize,
    /// What all that was added with it takes, until the last of it goes.
    _room: Arc<[Part<Customer>; 2]>,
    answer: oneshot::Sender<O>,
}

impl<I: Send + 'static, O: Send + 'static> Merge<I, O> {
    /// `call` answers one outcome an item, in order.
    pub fn new<F>(
        limits: MergeLimits,
        call: impl Fn(Vec<I>) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        Arc::new(Merge {
            items: Budget::new(limits.waiting_items_max, limits.customer_percent_max),
            bytes: Budget::new(limits.waiting_bytes_max, limits.customer_percent_max),
            limits,
            call: Box::new(move |items| Box::pin(call(items))),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                calls: 0,
            }),
        })
    }

    /// Adds items of a customer with their sizes in bytes: all of them, or none. Each
    /// answer comes when its call is over; it is an error where the call ended without
    /// one. To be called within a runtime.
    ///
    /// # Errors
    /// Where there is no room for them.
    pub fn add(
        self: &Arc<Self>,
        customer: &Customer,
        items: Vec<(I, usize)>,
    ) -> Result<Vec<oneshot::Receiver<O>>, Full> {
        let bytes = items.iter().map(|(_, bytes)| bytes).sum::<usize>();
        let room = Arc::new([
            self.items.take(customer.clone(), items.len())?,
            self.bytes.take(customer.clone(), bytes)?,
        ]);
        let mut state = self.state.lock();
        let mut answers = Vec::with_capacity(items.len());
        for (item, bytes) in items {
            let (answer, answered) = oneshot::channel();
            state.waiting.push_back(QueuedItem {
                item,
                bytes,
                _room: room.clone(),
                answer,
            });
            answers.push(answered);
        }
        if state.calls < self.limits.calls_max && !state.waiting.is_empty() {
            state.calls += 1;
            tokio::spawn(self.clone().run());
        }
        Ok(answers)
    }

    /// One call after the other, until nothing waits.
    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next() {
            let (items, answers): (Vec<I>, Vec<_>) = batch.into_iter().unzip();
            let outcomes = (self.call)(items).await;
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever asked may have gone.
                let _ = answer.send(outcome);
            }
        }
    }

    /// The items of the next call. `None` also notes that this run is over.
    fn next(&self) -> Option<Vec<(I, oneshot::Sender<O>)>> {
        let mut state = self.state.lock();
        let (mut batch, mut bytes) = (Vec::new(), 0usize);
        while let Some(first) = state.waiting.front() {
            bytes = bytes.saturating_add(first.bytes);
            let full = batch.len() >= self.limits.call_items_max
                || (!batch.is_empty() && bytes > self.limits.call_bytes_max);
            if full {
                break;
            }
            if let Some(first) = state.waiting.pop_front() {
                batch.push((first.item, first.answer));
            }
        }
        if batch.is_empty() {
            state.calls -= 1;
            return None;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::sync::Semaphore;

    use super::*;

    fn limits() -> MergeLimits {
        MergeLimits {
            call_items_max: 10,
            call_bytes_max: 1_000,
            calls_max: 1,
            waiting_items_max: 100,
            waiting_bytes_max: 10_000,
            customer_percent_max: 100,
        }
    }

    /// The items of each call.
    type Calls = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Each call waits for the gate and is noted with its items.
    fn noted(limits: MergeLimits, gate: Arc<Semaphore>) -> (Arc<Merge<u32, u32>>, Calls) {
        let calls = Calls::default();
        let noted = calls.clone();
        let merge = Merge::new(limits, move |items: Vec<u32>| {
            let (gate, noted) = (gate.clone(), noted.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                noted.lock().push(items.clone());
                items
            }
        });
        (merge, calls)
    }

    #[tokio::test]
    async fn lone_item_goes_at_once_and_a_crowd_goes_together_in_order() {
        let gate = Arc::new(Semaphore::new(0));
        let (merge, calls) = noted(limits(), gate.clone());
        let mut answers = merge.add(&None, vec![(0, 1)]).unwrap();
        tokio::task::yield_now().await;
        for item in 1..=25 {
            answers.extend(merge.add(&None, vec![(item, 1)]).unwrap());
        }
        gate.add_permits(10);
        for (item, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.unwrap(), item);
        }
        let sizes: Vec<usize> = calls.lock().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 10, 10, 5]);
        let all: Vec<u32> = calls.lock().concat();
        assert_eq!(all, (0..=25).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn call_ends_at_its_bytes_and_a_larger_item_goes_alone() {
        let gate = Arc::new(Semaphore::new(10));
        let (merge, calls) = noted(limits(), gate);
        let items = vec![(1, 600), (2, 600), (3, 5_000), (4, 400), (5, 400)];
        for answer in merge.add(&None, items).unwrap() {
            answer.await.unwrap();
        }
        assert_eq!(*calls.lock(), [vec![1], vec![2], vec![3], vec![4, 5]]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_items_and_bytes() {
        let gate = Arc::new(Semaphore::new(0));
        let (merge, _) = noted(limits(), gate.clone());
        let first = merge.add(&None, vec![(0, 1)]).unwrap();
        tokio::task::yield_now().await;
        assert!(
            merge
                .add(&None, (0..101).map(|item| (item, 1)).collect())
                .is_err()
        );
        assert!(merge.add(&None, vec![(1, 10_001)]).is_err());
        let rest = merge
            .add(&None, (0..100).map(|item| (item, 1)).collect())
            .unwrap();
        assert!(merge.add(&None, vec![(1, 1)]).is_err());
        gate.add_permits(20);
        for answer in first.into_iter().chain(rest) {
            answer.await.unwrap();
        }
        assert!(merge.add(&None, vec![(1, 1)]).is_ok());
    }

    #[tokio::test]
    async fn as_many_calls_as_allowed_are_under_way() {
        let most = Arc::new(AtomicUsize::new(0));
        let now = Arc::new(AtomicUsize::new(0));
        let (top, running) = (most.clone(), now.clone());
        let limits = MergeLimits {
            call_items_max: 1,
            calls_max: 3,
            ..limits()
        };
        let merge = Merge::new(limits, move |items: Vec<u32>| {
            let (top, running) = (top.clone(), running.clone());
            async move {
                top.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, SeqCst);
                items
            }
        });
        let mut answers = Vec::new();
        for item in 0..20 {
            answers.extend(merge.add(&None, vec![(item, 1)]).unwrap());
        }
        for answer in answers {
            answer.await.unwrap();
        }
        assert_eq!(most.load(SeqCst), 3);
    }

    #[tokio::test]
    async fn one_customer_has_a_part_of_what_waits() {
        let limits = MergeLimits {
            customer_percent_max: 50,
            ..limits()
        };
        let (merge, _) = noted(limits, Arc::new(Semaphore::new(0)));
        let (acme, globex) = (Some("acme".into()), Some("globex".into()));
        let items = |count, bytes| (0..count).map(|item| (item, bytes)).collect();
        assert_eq!(merge.add(&acme, items(51, 1)).err(), Some(Full::Share));
        assert_eq!(merge.add(&acme, items(1, 5_001)).err(), Some(Full::Share));
        merge.add(&acme, items(50, 1)).unwrap();
        merge.add(&globex, items(50, 1)).unwrap();
        assert_eq!(merge.add(&None, items(1, 1)).err(), Some(Full::Whole));
    }
}
