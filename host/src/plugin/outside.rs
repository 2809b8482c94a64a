//! What lies outside of one instance: the host's functions that it can call, and the bounds on calling them.
//!
//! WASI is linked with everything denied but clocks and randomness, and `wasi:http` by grant. Knows the phase a call is in, because `describe`
//! may call nothing, `start` only the log, and formatting has no state; does not know what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::chat::plugin::{directory, log, state};
use super::captured::Captured;
use super::limits::MemoryGuard;
use super::lines::Lines;
use super::outbound::{Asking, Call, Outbound};
use super::{Calls, LogLevel};

/// Host calls of one call into the guest: these and so many for each message.
const CALLS: u32 = 10_000;
const CALLS_A_MESSAGE: u32 = 100;

/// The most people `members` names.
const MEMBERS: u32 = 1_000;

/// The most random bytes at once, and the most handles at once: bounds on what the host allocates for a guest.
const RANDOM_BYTES: u64 = 64 * 1024;
const HANDLES: usize = 1_000;

/// The most that one set of HTTP headers takes, in memory.
const HEADER_BYTES: usize = 16 * 1024;

/// What a component could do by an import of this name, in words; none where it is a shape alone. A plugin built by an
/// ordinary compiler imports much that this host answers with nothing: that is said, for it is no reason to worry.
pub(super) fn capability(import: &str) -> Option<&'static str> {
    let interface = import.split('@').next().unwrap_or(import);
    Some(match interface {
        "chat:plugin/types" => return None,
        "chat:plugin/state" => "state of its room",
        "chat:plugin/directory" => "names and members",
        "chat:plugin/log" => "log",
        "wasi:cli/stdout" | "wasi:cli/stderr" => "output (captured)",
        _ => match interface.split('/').next().unwrap_or(interface) {
            "wasi:clocks" => "clocks",
            "wasi:random" => "randomness",
            "wasi:http" => "http (needs a grant)",
            "wasi:filesystem" => "files (none are there)",
            "wasi:sockets" => "sockets (denied)",
            "wasi:cli" => "environment (empty)",
            "wasi:io" => "waiting",
            _ => "something unknown (does not link)",
        },
    })
}

/// Which call an instance is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// What runs when a component is instantiated, and `describe`.
    Describing,
    /// `start`.
    Starting,
    /// `migrate`.
    Migrating,
    /// `format`.
    Formatting,
    /// Any other role.
    Answering,
}

/// Dice and a clock for tools that play the same cases again and again.
#[derive(Clone)]
pub struct Held {
    /// Throws 64 bits.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Milliseconds since 1970-01-01 UTC.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl rand::TryRng for Held {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        // The upper half.
        Ok(u32::try_from((self.random)() >> 32).unwrap_or_default())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok((self.random)())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        for part in into.chunks_mut(8) {
            let thrown = (self.random)().to_le_bytes();
            part.iter_mut()
                .zip(thrown)
                .for_each(|(to, byte)| *to = byte);
        }
        Ok(())
    }
}

impl HostWallClock for Held {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis((self.now_ms)())
    }
}

/// One instance's outside: the data of its store.
pub(super) struct Outside {
    wasi: WasiCtx,
    handles: ResourceTable,
    http: WasiHttpCtx,
    asking: Asking,
    plugin: Arc<str>,
    calls: Option<Arc<dyn Calls>>,
    lines: Lines,
    phase: Phase,
    calls_left: u32,
    pub(super) memory: MemoryGuard,
    pub(super) output: Captured,
    /// How the guest broke the interface during the current call.
    pub(super) broken: Option<String>,
}

impl Outside {
    pub(super) fn new(
        plugin: Arc<str>,
        memory_bytes: usize,
        outbound: Option<Arc<Outbound>>,
    ) -> Self {
        Self::of(plugin, memory_bytes, outbound, &mut WasiCtx::builder())
    }

    /// With dice and a clock that somebody else holds.
    pub(super) fn held(
        plugin: Arc<str>,
        memory_bytes: usize,
        outbound: Option<Arc<Outbound>>,
        world: &Held,
    ) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.secure_random(world.clone())
            .insecure_random(world.clone())
            .wall_clock(world.clone());
        Self::of(plugin, memory_bytes, outbound, &mut wasi)
    }

    fn of(
        plugin: Arc<str>,
        memory_bytes: usize,
        outbound: Option<Arc<Outbound>>,
        wasi: &mut WasiCtxBuilder,
    ) -> Self {
        let output = Captured::default();
        let wasi = wasi
            .stdout(output.clone())
            .stderr(output.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_BYTES)
            .build();
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(HEADER_BYTES);
        Self {
            wasi,
            handles,
            http,
            asking: Asking::new(outbound),
            lines: Lines::new(plugin.clone()),
            plugin,
            calls: None,
            phase: Phase::Describing,
            calls_left: 0,
            memory: MemoryGuard::new(memory_bytes),
            output,
            broken: None,
        }
    }

    /// Whom the instance asks from now on.
    pub(super) fn serve(&mut self, calls: Arc<dyn Calls>) {
        self.calls = Some(calls);
    }

    /// Begins a call for so many messages.
    pub(super) fn begin(&mut self, phase: Phase, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.phase = phase;
        self.calls_left = CALLS.saturating_add(CALLS_A_MESSAGE.saturating_mul(messages));
        self.memory.denied = None;
        self.broken = None;
        self.output.begin();
        if self.asking.is_granted() {
            let call = match (phase, &self.calls) {
                // One message a call: see `Recipe::batch`.
                (Phase::Answering, Some(calls)) => calls.cause(0).map_or(Call::Tried, Call::about),
                _ => Call::MayNot,
            };
            self.asking.begin(call);
        }
    }

    /// Ends a call, and what it has asked of services.
    pub(super) fn end(&mut self) {
        if self.asking.end() {
            self.broken = Some(self.may_not("wasi:http"));
        }
    }

    fn may_not(&self, interface: &str) -> String {
        let during = match self.phase {
            Phase::Describing => "`describe`",
            Phase::Starting => "`start`",
            Phase::Migrating => "`migrate`",
            Phase::Formatting => "formatting",
            Phase::Answering => "a call",
        };
        format!("it called `{interface}` during {during}, which may not")
    }

    /// Counts a host call, and refuses it where the phase or the bound forbids it.
    fn admit(&mut self, interface: &str, allowed: bool) -> wasmtime::Result<()> {
        let broken = if !allowed {
            self.may_not(interface)
        } else if self.calls_left == 0 {
            format!(
                "it made more than {CALLS} host calls and {CALLS_A_MESSAGE} a message; the last was `{interface}`"
            )
        } else {
            self.calls_left -= 1;
            return Ok(());
        };
        let error = wasmtime::Error::msg(broken.clone());
        self.broken = Some(broken);
        Err(error)
    }

    fn state(&mut self) -> wasmtime::Result<(&dyn Calls, &str)> {
        self.admit("state", self.phase == Phase::Answering)?;
        self.asked()
    }

    fn directory(&mut self) -> wasmtime::Result<(&dyn Calls, &str)> {
        self.admit(
            "directory",
            matches!(self.phase, Phase::Formatting | Phase::Answering),
        )?;
        self.asked()
    }

    fn asked(&self) -> wasmtime::Result<(&dyn Calls, &str)> {
        match &self.calls {
            Some(calls) => Ok((calls.as_ref(), &self.plugin)),
            None => Err(wasmtime::Error::msg(
                "the host calls an instance that it has not taken",
            )),
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let dropped_bytes = self.output.dropped_bytes();
        if dropped_bytes > 0 {
            debug!(
                plugin = &*self.plugin,
                dropped_bytes, "output of a plugin dropped"
            );
        }
    }
}

/// Makes everything linkable that a plugin may import. What is not here keeps a component from loading.
///
/// # Errors
/// When a name is taken twice, which would be a mistake here.
pub(super) fn link(linker: &mut Linker<Outside>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |outside| outside)?;
    state::add_to_linker::<_, HasSelf<_>>(linker, |outside| outside)?;
    directory::add_to_linker::<_, HasSelf<_>>(linker, |outside| outside)
}

/// Makes `wasi:http` linkable, too.
///
/// # Errors
/// As [`link`].
pub(super) fn link_http(linker: &mut Linker<Outside>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl WasiHttpView for Outside {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.asking,
            table: &mut self.handles,
            ctx: &mut self.http,
        }
    }
}

impl WasiView for Outside {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.handles,
        }
    }
}

impl log::Host for Outside {
    fn write(&mut self, level: log::Level, text: String) -> wasmtime::Result<()> {
        self.admit("log", self.phase != Phase::Describing)?;
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.lines.write(level, &text);
        Ok(())
    }
}

impl state::Host for Outside {
    fn get(&mut self, at: u32, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let (calls, plugin) = self.state()?;
        Ok(calls.state_get(plugin, at, &key))
    }

    fn put(
        &mut self,
        at: u32,
        key: String,
        value: Option<Vec<u8>>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), String>> {
        let (calls, plugin) = self.state()?;
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(calls.state_put(plugin, at, &key, value, ttl))
    }

    fn add(
        &mut self,
        at: u32,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<i64, String>> {
        let (calls, plugin) = self.state()?;
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(calls.state_add(plugin, at, &key, by, ttl))
    }
}

impl directory::Host for Outside {
    fn name(&mut self, sender: u64) -> wasmtime::Result<String> {
        let (calls, _) = self.directory()?;
        Ok(calls.person_name(sender))
    }

    fn room(&mut self, room: u64) -> wasmtime::Result<String> {
        let (calls, _) = self.directory()?;
        Ok(calls.room_name(room))
    }

    fn members(&mut self, room: u64, limit: u32) -> wasmtime::Result<Vec<u64>> {
        let (calls, _) = self.directory()?;
        let limit = limit.min(MEMBERS);
        let mut members = calls.members(room, limit);
        members.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(members)
    }

    fn commands(&mut self) -> wasmtime::Result<Vec<(String, String, String)>> {
        let (calls, _) = self.directory()?;
        Ok(calls.commands())
    }
}
