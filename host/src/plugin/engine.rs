//! The machine under the sandbox: compiler, pool of memories, ticker and clocks, one for all plugins.
//!
//! Knows wasmtime; does not know what a plugin is for, nor which of them there are.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::compiler::Beside;
use super::outside::{self, Outside};
use super::ticker::Ticker;

/// How often a computing guest hands back the thread, so that its time is looked at.
pub(super) const TICK: Duration = Duration::from_millis(4);

/// The most components that can be alive at once: partitions × plugins, spares, and a version being tried. Each costs
/// address space alone until it is used.
const INSTANCES: u32 = 1024;

/// The stack a guest may use, and the one it runs on, which its host calls need too.
const GUEST_STACK_BYTES: usize = 512 * 1024;
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine does not start: {0}")]
pub struct EngineError(String);

/// What all plugins run on. Cheap to clone; ends with its last clone.
#[derive(Clone)]
pub(super) struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<Outside>,
    /// With `wasi:http`, for plugins with a grant.
    linker_with_http: Linker<Outside>,
    clocks: Clocks,
    // Dropped with the last clone, and joined then.
    _ticker: Ticker,
}

impl Engine {
    /// An engine whose instances have at most `memory_bytes` of memory each.
    ///
    /// # Errors
    /// When the system denies address space or a thread.
    pub(super) fn new(memory_bytes: usize) -> Result<Self, EngineError> {
        let text = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let wasmtime = wasmtime::Engine::new(&config(memory_bytes)).map_err(text)?;
        let mut linker = Linker::new(&wasmtime);
        outside::link(&mut linker).map_err(text)?;
        let mut linker_with_http = linker.clone();
        outside::link_http(&mut linker_with_http).map_err(text)?;
        let clocks = Clocks::new().map_err(|error| EngineError(error.to_string()))?;
        let ticker =
            Ticker::start(wasmtime.weak(), TICK).map_err(|error| EngineError(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            wasmtime,
            linker,
            linker_with_http,
            clocks,
            _ticker: ticker,
        })))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn linker(&self, with_http: bool) -> &Linker<Outside> {
        if with_http {
            &self.0.linker_with_http
        } else {
            &self.0.linker
        }
    }

    /// Lets what runs on this thread until the guard is dropped wait for time to pass, and for services to answer.
    pub(super) fn clocks(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.0.clocks.0.as_ref().map(|runtime| runtime.enter())
    }
}

/// An engine that compiles for the one of a host with this `memory_bytes`, and takes no address space for instances.
///
/// # Errors
/// When the settings do not fit this machine.
pub(super) fn for_compiling(
    memory_bytes: usize,
    beside: Beside,
) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config(memory_bytes);
    config.parallel_compilation(beside == Beside::Nobody);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    wasmtime::Engine::new(&config)
}

fn config(memory_bytes: usize) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES * 2)
        .total_tables(INSTANCES * 4)
        .total_stacks(INSTANCES)
        // Python's has 38.
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(16)
        .table_elements(super::limits::TABLE_ELEMENTS)
        .max_memory_size(memory_bytes)
        // A page or two of each survive in a freed slot, so that a fresh instance faults less.
        .linear_memory_keep_resident(64 * 1024)
        .table_keep_resident(16 * 1024)
        .max_unused_warm_slots(16);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .consume_fuel(false)
        // Halves the cost of a call; the interface has no async functions.
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        // Traps are blamed by their kind; a backtrace would cost more than the call.
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        // Nobody asks where in a component an instruction came from, and it is a third of what is compiled.
        .generate_address_map(false);
    config
}

/// Threads that look names up at the same time: requests in flight are bounded, and each looks one up.
const LOOKING_UP: usize = 64;

/// A thread on which the guests' sleeps end, and which talks to the services that they ask. Guests never run on it.
struct Clocks(Option<tokio::runtime::Runtime>);

impl Clocks {
    fn new() -> std::io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(LOOKING_UP)
            .thread_name("plugin-clocks")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        // A plain drop would panic where the last clone is dropped by an asynchronous task.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
