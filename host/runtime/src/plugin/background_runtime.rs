//! The second runtime, where a call goes on once it has computed for a while, so
//! that short requests keep their latency.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::meter::{Meter, Metered};

/// The niceness of its threads (setpriority(2)).
const NICENESS: i32 = 10;

/// The runtime for long computations.
pub struct BackgroundRuntime {
    runtime: Option<Runtime>,
    handle: Handle,
    after: Duration,
}

impl BackgroundRuntime {
    /// `after` is the CPU time past which a call is a long one.
    pub fn open(threads: usize, after: Duration) -> std::io::Result<BackgroundRuntime> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("long")
            .on_thread_start(yield_to_others)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(BackgroundRuntime {
            runtime: Some(runtime),
            handle,
            after,
        })
    }

    /// Runs a call here, and from its first pause past `after` on in the second
    /// runtime. Dropping this future drops the call wherever it is.
    pub async fn run<F, T>(&self, meter: Arc<Meter>, call: F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let mut call = Box::pin(Metered::new(meter.clone(), call));
        match self.first_part(&meter, &mut call).await {
            Some(answer) => Some(answer),
            None => Aborting(self.handle.spawn(call)).await,
        }
    }

    async fn first_part<F: Future>(
        &self,
        meter: &Meter,
        call: &mut Pin<Box<Metered<F>>>,
    ) -> Option<F::Output> {
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if meter.spent() > self.after => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        // A runtime must not be dropped where it could block; nothing that runs
        // here is worth waiting for once the host is gone.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn yield_to_others() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the threads for long calls keep their ordinary priority");
    }
}

/// A task that ends with whoever waits for it. `None` where it panicked.
struct Aborting<T>(JoinHandle<T>);

impl<T> Future for Aborting<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
