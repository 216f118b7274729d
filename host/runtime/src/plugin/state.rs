//! The `T` of `Store<T>`: all that the host knows of one instance.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::memory::MemoryAccount;
use super::meter::Meter;
use super::stdio::{Lines, Writer};
use crate::capability::{Call, Lents, Parts, States};
use hearth_base::clock::Clock;

/// The most random bytes that a guest gets in one call.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;
/// Lines on stdout and stderr that one call may write.
const LINES_MAX: u32 = 1_000;

/// What one store holds.
pub struct State {
    pub parts: Parts,
    pub memory: MemoryAccount,
    pub meter: Arc<Meter>,
    wasi: WasiCtx,
    writer: Arc<Mutex<Writer>>,
}

impl State {
    pub fn new(
        call: Call,
        lents: Arc<Lents>,
        memory: MemoryAccount,
        meter: Arc<Meter>,
        handles_max: usize,
        clock: &Clock,
    ) -> State {
        let writer = Arc::new(Mutex::new(Writer::new(call.plugin.clone())));
        writer.lock().begin(&call, LINES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(handles_max);
        State {
            parts: Parts {
                call,
                lents,
                states: States::default(),
                table,
            },
            memory,
            meter,
            wasi: wasi(&writer, clock),
            writer,
        }
    }

    /// Makes a store that is used again ready for another call.
    pub fn begin_call(&mut self, call: Call, meter: Arc<Meter>) {
        self.writer.lock().begin(&call, LINES_MAX);
        // What an instance did while it was made ready was no part of this call.
        self.parts.end_call();
        self.parts.call = call;
        self.meter = meter;
        self.memory.begin();
    }
}

/// Clocks, random numbers and output; no files, no sockets, no environment.
fn wasi(writer: &Arc<Mutex<Writer>>, clock: &Clock) -> WasiCtx {
    WasiCtxBuilder::new()
        .stdout(Lines(writer.clone()))
        .stderr(Lines(writer.clone()))
        .wall_clock(Wall(clock.clone()))
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

/// The time that the guest is told.
struct Wall(Clock);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let since = self.0.now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }
}

impl AsMut<Parts> for State {
    fn as_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.parts.table,
        }
    }
}
