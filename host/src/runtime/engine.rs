//! The engine: what of WebAssembly is allowed, how much is set aside for it, and the clock that interrupts it.
//!
//! One configuration for the program and for its compiling child, so that what the child compiled fits the program. It knows nothing
//! of components.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often running components are interrupted for a moment. The unit of their CPU budget, and the longest time that a
/// loop holds a thread.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Core instances of one component: a Rust component has 3, a Python one some dozens.
const CORE_INSTANCES: u32 = 64;
/// Linear memories of one component: the program's own, one of an adapter, and those of what it is composed of.
const MEMORIES: u32 = 4;
/// Memories that the pool has for each of its runs: nearly all components have one or two. Of composed ones there is room for as many runs as may
/// be at once, as long as no version that was replaced holds its own.
const MEMORIES_OF_A_RUN: u32 = 2;
/// Tables of one component: the program's own, the shim's, and some for linked libraries.
const TABLES: u32 = 16;
/// Elements of one table; each takes 8 bytes of address space. CPython has about 15,000.
const TABLE_ELEMENTS: usize = 65_536;
/// Runs that are not in the operator's number: the `describe` of a new version.
const SPARE: u32 = 4;
/// Of attempts that run at once, the most that can be asked for: more would take more address space than x86-64 has, with 4 GiB and its
/// guards for each memory, and as many again for versions that no longer serve.
pub const MAX_RUNS: usize = 2_048;

/// Stack of the WebAssembly code of one run.
const WASM_STACK: usize = 512 << 10;
/// Stack of one run, with 1.5 MiB left for host calls (a TLS handshake takes some 100 KiB).
const FIBER_STACK: usize = 2 << 20;
/// Bytes of a memory that stay mapped between runs, zeroed instead of given back: saves the page faults of small runs.
const KEPT_MEMORY: usize = 128 << 10;
/// The same for the stack.
const KEPT_STACK: usize = 32 << 10;
/// The same for tables.
const KEPT_TABLE: usize = 16 << 10;

/// The engine of the program: room for `runs` at once, and for as many of versions that were replaced meanwhile.
pub(super) fn serving(runs: usize) -> anyhow::Result<Engine> {
    let mut config = config();
    if !has_memory_files() {
        tracing::info!(
            "the system lets this process make no file in memory (memfd_create): each run copies the data that its component begins with"
        );
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(runs * 2)));
    engine(&config)
}

/// The engine of the compiling child: nothing will run there, so nothing is set aside.
pub(super) fn compiling() -> anyhow::Result<Engine> {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    engine(&config)
}

fn engine(config: &Config) -> anyhow::Result<Engine> {
    Engine::new(config).map_err(|error| {
        anyhow!(
            "the WebAssembly engine cannot start: {error:#}. It sets address space aside, which is no memory: some 8 GiB for each of twice \
             `maxConcurrentRuns` (MAX_CONCURRENT_RUNS) runs. Where that is limited (`ulimit -v`), lift the limit or lower the number"
        )
    })
}

/// Names what compiled code must fit: another wasmtime or other settings give another number.
pub(super) fn fingerprint(engine: &Engine) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Whether the system gives files that are in memory only, which some filters of system calls forbid.
fn has_memory_files() -> bool {
    rustix::fs::memfd_create("millrace", rustix::fs::MemfdFlags::CLOEXEC).is_ok()
}

/// What both engines share. The allocation strategy is no part of what compiled code must fit.
fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(has_memory_files())
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        // 4 GiB of addresses for each memory, so that 32-bit accesses need no bounds check; no page of it is real until touched.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        // Steps speak WASI 0.2: nothing asynchronous in the component model itself.
        .concurrency_support(false)
        .shared_memory(false)
        .gc_support(false);
    config
        .wasm_memory64(false)
        // The engine's own code between the parts of a composed component copies from one memory into another. How many there are in
        // all is bounded by the pool, and what they take together by the limiter of a run.
        .wasm_multi_memory(true)
        .wasm_threads(false)
        .wasm_tail_call(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_relaxed_simd(false);
    config
}

/// Room for `runs` runs and some spare ones. All of it is address space, not memory: for 1024 runs about 8 TiB of the
/// 128 TiB that a process has, nearly all for linear memories.
fn pool(runs: usize) -> PoolingAllocationConfig {
    let runs = u32::try_from(runs.clamp(1, 2 * MAX_RUNS)).unwrap_or(u32::MAX) + SPARE;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(runs)
        .total_core_instances(runs * CORE_INSTANCES)
        .total_memories(runs * MEMORIES_OF_A_RUN)
        .total_tables(runs * TABLES)
        .total_stacks(runs)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(4 << 30)
        .max_unused_warm_slots(runs.min(64))
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .async_stack_keep_resident(KEPT_STACK)
        // Finds the pages that a run touched, wherever they are: a Rust program's stack and heap begin at 1 MiB.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Interrupts what runs in an engine every [`TICK`], on a thread of its own that ends with this value.
#[derive(Debug)]
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking.
    pub fn start(engine: &Engine) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.weak(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("epochs".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        let thread = thread.context(
            "the thread that interrupts components cannot be started; threads may be limited (`ulimit -u`, TasksMax=, pids.max)",
        )?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It sleeps for a tick at most. A panic in it cannot happen, and could not be handled here.
            let _ = thread.join();
        }
    }
}
