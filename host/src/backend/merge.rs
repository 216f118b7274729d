//! One call to a backend for what many send at the same time.
//!
//! What is added while nothing is under way goes at once; what is added meanwhile
//! waits for the next call and goes together. So a lone message waits for nobody,
//! and a crowd costs a few calls.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

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
}

type Call<I, O> = Box<dyn Fn(Vec<I>) -> Pin<Box<dyn Future<Output = Vec<O>> + Send>> + Send + Sync>;

/// Gathers items and hands them over together.
pub struct Merge<I, O> {
    limits: MergeLimits,
    call: Call<I, O>,
    state: Mutex<State<I, O>>,
}

struct State<I, O> {
    waiting: VecDeque<Waiting<I, O>>,
    bytes: usize,
    calls: usize,
}

struct Waiting<I, O> {
    item: I,
    bytes: usize,
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
            limits,
            call: Box::new(move |items| Box::pin(call(items))),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                calls: 0,
            }),
        })
    }

    /// Adds items with their sizes in bytes: all of them, or `None` where there is
    /// no room. Each answer comes when its call is over; it is an error where the
    /// call ended without one. To be called within a runtime.
    pub fn add(self: &Arc<Self>, items: Vec<(I, usize)>) -> Option<Vec<oneshot::Receiver<O>>> {
        let mut state = self.state.lock();
        let bytes = items.iter().map(|(_, bytes)| bytes).sum::<usize>();
        let fits = state.waiting.len() + items.len() <= self.limits.waiting_items_max
            && state.bytes.saturating_add(bytes) <= self.limits.waiting_bytes_max;
        if !fits {
            return None;
        }
        state.bytes += bytes;
        let mut answers = Vec::with_capacity(items.len());
        for (item, bytes) in items {
            let (answer, answered) = oneshot::channel();
            state.waiting.push_back(Waiting {
                item,
                bytes,
                answer,
            });
            answers.push(answered);
        }
        if state.calls < self.limits.calls_max && !state.waiting.is_empty() {
            state.calls += 1;
            tokio::spawn(self.clone().run());
        }
        Some(answers)
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
                state.bytes -= first.bytes;
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
        let mut answers = merge.add(vec![(0, 1)]).unwrap();
        tokio::task::yield_now().await;
        for item in 1..=25 {
            answers.extend(merge.add(vec![(item, 1)]).unwrap());
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
        for answer in merge.add(items).unwrap() {
            answer.await.unwrap();
        }
        assert_eq!(*calls.lock(), [vec![1], vec![2], vec![3], vec![4, 5]]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_items_and_bytes() {
        let gate = Arc::new(Semaphore::new(0));
        let (merge, _) = noted(limits(), gate.clone());
        let first = merge.add(vec![(0, 1)]).unwrap();
        tokio::task::yield_now().await;
        assert!(
            merge
                .add((0..101).map(|item| (item, 1)).collect())
                .is_none()
        );
        assert!(merge.add(vec![(1, 10_001)]).is_none());
        let rest = merge.add((0..100).map(|item| (item, 1)).collect()).unwrap();
        assert!(merge.add(vec![(1, 1)]).is_none());
        gate.add_permits(20);
        for answer in first.into_iter().chain(rest) {
            answer.await.unwrap();
        }
        assert!(merge.add(vec![(1, 1)]).is_some());
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
            answers.extend(merge.add(vec![(item, 1)]).unwrap());
        }
        for answer in answers {
            answer.await.unwrap();
        }
        assert_eq!(most.load(SeqCst), 3);
    }
}
