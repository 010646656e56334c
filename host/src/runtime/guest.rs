//! What a running component sees of the host: the world `millrace:step/step`, an empty WASI, and what was granted.
//!
//! A [`Guest`] lives for one run. Everything a component can reach goes through it, so every call is counted here.

mod second;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::alongside::Own;
use super::bindings::step;
use super::budget::{Limit, Meter};
use super::guest_log::{GuestLog, Output};
use super::outgoing::Outgoing;
use super::tape::{Deck, SteadyClock, WallClock};
use super::{Capabilities, Limits, Used};
use crate::clock::Clock;

/// Live handles to host resources that a run may have.
pub(super) const MAX_HANDLES: usize = 1_000;
/// Bytes of random numbers in one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;
/// Bytes of headers in one HTTP message, as the host holds them.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// What the operator granted to a component, ready to use. Shared by its runs.
#[derive(Default)]
pub(super) struct Granted {
    /// Services it may call.
    pub http: Outgoing,
    /// Values it may read.
    pub config: WasiConfigVariables,
    /// Names of the secrets that it may have filled in.
    pub secrets: BTreeSet<String>,
}

/// The host's side of one run.
pub(super) struct Guest {
    /// Its log lines, with their budget.
    pub log: GuestLog,
    /// What it may use of memory.
    pub memory: MemoryLimit,
    /// What it wrote to standard error: where programs say why they give up.
    pub stderr: Output,
    /// What it uses of time.
    pub meter: Arc<Meter>,
    engine: Engine,
    table: ResourceTable,
    wasi: Option<WasiCtx>,
    clock: Clock,
    /// What it finds is recorded here from the first use on, or played from here.
    pub deck: Option<Deck>,
    http: WasiHttpCtx,
    /// Services it may call.
    pub outgoing: Outgoing,
    /// What it has of its own, and wants done with its answer.
    pub own: Own,
    granted: Arc<Granted>,
    calls: u32,
    most_calls: u32,
}

impl Guest {
    /// For one run of a component with these limits.
    pub fn new(
        engine: Engine,
        (clock, deck): (Clock, Option<Deck>),
        granted: Arc<Granted>,
        limits: &Limits,
        meter: Arc<Meter>,
        log: GuestLog,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADER_BYTES);
        Self {
            stderr: Output::new(log.clone()),
            log,
            memory: MemoryLimit { taken: 0, left: limits.memory_bytes, denied: None },
            meter,
            engine,
            table,
            wasi: None,
            clock,
            deck,
            http,
            outgoing: granted.http.for_a_run(),
            own: Own::default(),
            granted,
            calls: 0,
            most_calls: limits.host_calls,
        }
    }

    /// What it has used so far.
    pub fn used(&self) -> Used {
        Used { cpu: self.meter.cpu(), memory_bytes: self.memory.taken, host_calls: self.calls }
    }

    /// Counts a call into the host. One too many moves the epoch, so that the run is stopped as soon as the call returns.
    fn count_call(&mut self) {
        self.calls = self.calls.saturating_add(1);
        if self.calls > self.most_calls {
            self.meter.reach(Limit::HostCalls);
            self.engine.increment_epoch();
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.count_call();
        // Made at the first use only: most steps never touch WASI, and seeding its random numbers costs more than all the rest.
        let ctx = self.wasi.get_or_insert_with(|| {
            let deck = self.deck.get_or_insert_with(Deck::recording);
            empty_wasi(self.clock.clone(), deck, Output::new(self.log.clone()), self.stderr.clone())
        });
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.count_call();
        if self.outgoing.deck.is_none() {
            self.outgoing.deck = Some(self.deck.get_or_insert_with(Deck::recording).clone());
        }
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

/// No arguments, environment or files, and no socket can be made nor a name looked up. Standard input is at its end; what is written goes
/// to the log.
fn empty_wasi(clock: Clock, deck: &Deck, stdout: Output, stderr: Output) -> WasiCtx {
    let (secret, other, own) = deck.random();
    WasiCtx::builder()
        .stdout(stdout)
        .stderr(stderr)
        .wall_clock(WallClock(clock, deck.clone()))
        .monotonic_clock(SteadyClock(Instant::now(), deck.clone()))
        .secure_random(secret)
        .insecure_random(other)
        .insecure_random_seed(own)
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

/// Sums the bytes of all memories and tables of a run.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    /// Memories and tables never shrink, so this is the most that there was.
    taken: usize,
    left: usize,
    /// The first growth that was denied.
    pub denied: Option<Denied>,
}

/// A growth that was denied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denied {
    /// Bytes wanted.
    pub bytes: usize,
    /// What was to grow.
    pub limit: Limit,
}

impl MemoryLimit {
    fn take(&mut self, current: usize, desired: usize, unit: usize, limit: Limit) -> bool {
        let bytes = desired.saturating_sub(current).saturating_mul(unit);
        let Some(left) = self.left.checked_sub(bytes) else {
            self.denied.get_or_insert(Denied { bytes, limit });
            return false;
        };
        self.left = left;
        self.taken = self.taken.saturating_add(bytes);
        true
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(current, desired, 1, Limit::Memory))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(current, desired, size_of::<usize>(), Limit::Table))
    }
}

/// Everything that a component with these capabilities may import. What is not linked here does not exist for it.
pub(super) fn linker(engine: &Engine, capabilities: &Capabilities) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    step::Step::add_to_linker::<_, CountedLog>(&mut linker, |guest: &mut Guest| {
        guest.count_call();
        &mut guest.log
    })?;
    // All of WASI 0.2, since the libraries of languages import what their programs never call. What it leads to is empty, or refuses.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    if !capabilities.http.is_empty() {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    if !capabilities.config.is_empty() {
        wasmtime_wasi_config::add_to_linker(&mut linker, |guest| {
            guest.count_call();
            WasiConfig::from(&guest.granted.config)
        })?;
    }
    second::add_to_linker(&mut linker, capabilities)?;
    Ok(linker)
}

/// The logger, as bindings name it.
struct CountedLog;

impl HasData for CountedLog {
    type Data<'a> = &'a mut GuestLog;
}
