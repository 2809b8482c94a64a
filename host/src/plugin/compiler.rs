//! Compilation, in a process of its own: what a component does to a compiler must not happen to the host.
//!
//! A component of 100,000 functions takes a compiler 11 s and 800 MB, and can't be stopped half-way. So the host runs
//! itself as a child, at low priority and within limits of processor time, memory and clock, and ends it when the file
//! has changed meanwhile or the host ends. Knows nothing of what the component is for.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tempfile::NamedTempFile;

use super::engine;
use super::fault::one_line;
use super::load_error::Reason;

/// The subcommand under which the host runs itself.
pub const SUBCOMMAND: &str = "compile-plugin";

/// Address space of a compiling process. Python's 18 MB take 0.9 GB.
const MEMORY_BYTES: u64 = 3 << 30;
/// Processor time of a compiling process.
const PROCESSOR: Duration = Duration::from_secs(60);
/// Time on the clock, on a machine that does other things too.
const CLOCK: Duration = Duration::from_secs(180);
/// Threads of a compiling process, where it may have more than one.
const THREADS: usize = 8;
/// How much nicer than the host a compiling process is.
const NICER: i32 = 10;
/// How often a compiling process is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The longest message of a compiler that is told.
const TOLD_BYTES: usize = 512;

/// Who compiles.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process, without limits: for a tool that compiles one component and ends.
    Here,
    /// A child process, which runs this program as `chat-host compile-plugin`.
    Child(PathBuf),
}

/// Beside whom a component is compiled, and so on how much of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nobody is served yet: on every processor.
    Nobody,
    /// Members are talking: on one.
    Members,
}

impl Compiler {
    /// A child that runs the program of this process.
    ///
    /// # Errors
    /// Where the system does not say which program that is.
    pub fn child() -> std::io::Result<Self> {
        // By way of the process: the file may have been replaced by an upgrade since.
        let own = Path::new("/proc/self/exe");
        if own.exists() {
            return Ok(Self::Child(own.to_owned()));
        }
        std::env::current_exe().map(Self::Child)
    }

    /// Compiles a component into a file in `folder`, or in the system's folder for such files. Stops when `stop` says
    /// that nobody wants it any more.
    ///
    /// # Errors
    /// [`Reason::Compile`], or [`Reason::Gone`] where it was stopped.
    pub(super) fn compile(
        &self,
        memory_bytes: usize,
        beside: Beside,
        bytes: &[u8],
        folder: Option<&Path>,
        stop: &dyn Fn() -> bool,
    ) -> Result<NamedTempFile, Reason> {
        let failed = |error: std::io::Error| Reason::Compiler(error.to_string());
        let mut code = match folder {
            Some(folder) => NamedTempFile::new_in(folder),
            None => NamedTempFile::new(),
        }
        .map_err(failed)?;
        match self {
            Self::Here => {
                let compiled = engine::for_compiling(memory_bytes, Beside::Nobody)
                    .and_then(|engine| engine.precompile_component(bytes))
                    .map_err(refused)?;
                code.write_all(&compiled).map_err(failed)?;
            }
            Self::Child(program) => {
                let said = run(program, memory_bytes, beside, bytes, code.as_file(), stop)?;
                if let Some(said) = said {
                    return Err(Reason::Compile(said));
                }
            }
        }
        Ok(code)
    }
}

fn refused(error: wasmtime::Error) -> Reason {
    Reason::Compile(one_line(&format!("{error:#}"), TOLD_BYTES))
}

/// Runs the child to its end; what it said against the component, if it did.
fn run(
    program: &Path,
    memory_bytes: usize,
    beside: Beside,
    bytes: &[u8],
    code: &File,
    stop: &dyn Fn() -> bool,
) -> Result<Option<String>, Reason> {
    let failed = |error: std::io::Error| Reason::Compiler(error.to_string());
    // Files, not pipes: nobody need read while another writes.
    let mut component = tempfile::tempfile().map_err(failed)?;
    component.write_all(bytes).map_err(failed)?;
    component.rewind().map_err(failed)?;
    let mut said = tempfile::tempfile().map_err(failed)?;
    let child = Command::new(program)
        .arg(SUBCOMMAND)
        .arg(memory_bytes.to_string())
        .args((beside == Beside::Nobody).then_some("--alone"))
        .env_clear()
        // Each thread takes address space, of which the child has little.
        .env("RAYON_NUM_THREADS", threads().to_string())
        .current_dir("/")
        .stdin(component)
        .stdout(code.try_clone().map_err(failed)?)
        .stderr(said.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut child = Running(child);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.0.try_wait().map_err(failed)? {
            break status;
        }
        if stop() {
            return Err(Reason::Gone);
        }
        if started.elapsed() > CLOCK {
            return Ok(Some(format!("it takes more than {CLOCK:?} to compile")));
        }
        std::thread::park_timeout(LOOK);
    };
    if status.success() {
        return Ok(None);
    }
    let mut text = String::new();
    said.rewind()
        .and_then(|()| said.take(TOLD_BYTES as u64 * 8).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(Some(why(status, &text)))
}

/// What the end of a child means.
fn why(status: std::process::ExitStatus, said: &str) -> String {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal();
    let is = |known: Signal| signal == Some(known.as_raw());
    if is(Signal::XCPU) {
        return format!("it takes more than {PROCESSOR:?} of processor time to compile");
    }
    if is(Signal::KILL) {
        return "its compiler was killed: it took too much processor time, or the system has too little memory".into();
    }
    if said.contains("memory allocation of") || said.contains("Cannot allocate memory") {
        return format!(
            "it takes more than {} GiB of memory to compile",
            MEMORY_BYTES >> 30
        );
    }
    match signal {
        Some(number) => format!("the compiler was ended by signal {number}"),
        None => one_line(said.trim_start_matches("chat-host: "), TOLD_BYTES),
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS))
}

/// A child that does not outlive what waits for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The child's side: reads a component from stdin, and writes its code to stdout.
///
/// # Errors
/// Why it does not compile, or why the child can't work.
pub fn compile_stdin(memory_bytes: usize, beside: Beside) -> anyhow::Result<()> {
    limit_this_process()?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let engine = engine::for_compiling(memory_bytes, beside)
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let code = engine
        .precompile_component(&bytes)
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    std::io::stdout().lock().write_all(&code)?;
    Ok(())
}

fn limit_this_process() -> std::io::Result<()> {
    // Whoever waits for the code may be killed.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = |resource, most: u64| {
        // What is limited more tightly already may not be raised.
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    limit(Resource::As, MEMORY_BYTES)?;
    limit(Resource::Cpu, PROCESSOR.as_secs())?;
    limit(Resource::Core, 0)?;
    rustix::process::nice(NICER)?;
    Ok(())
}
