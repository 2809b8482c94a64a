//! What the plugin tests share: components to load, a host to call, and waiting for a condition.
#![allow(dead_code, missing_docs, clippy::disallowed_methods)] // Each test binary uses a part of it; waiting polls.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use chat_host::config::{PluginConfig, PluginDefaults};
use chat_host::plugin::{
    Calls, CauseId, Compiler, Config, FormatItem, Message, OpenError, Plugin, PluginSet, Plugins,
    Resolver, TextBody, Timer,
};

/// The hostile component, built once for all tests. Cargo's own lock keeps test binaries from building it twice.
pub fn hostile() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(component("hostile-guest", "hostile")).unwrap())
}

/// Builds a package of this workspace as a component, and says where it is.
pub fn component(package: &str, library: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--offline",
            "--release",
            "--target",
            "wasm32-wasip2",
            "-p",
            package,
        ])
        .status()
        .unwrap();
    assert!(
        built.success(),
        "{package} does not build for wasm32-wasip2"
    );
    target
        .join("wasm32-wasip2/release")
        .join(format!("{library}.wasm"))
}

/// What could not run here, for the tally of the test command.
pub fn skip(what: &str, why: &str) {
    use std::io::Write;
    println!("SKIPPED: {what}: {why}");
    if let Some(path) = std::env::var_os("CHAT_HOST_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "SKIPPED: {what}: {why}").unwrap();
    }
}

/// Another version of a component: every `from` in its bytes replaced by a text of the same length.
pub fn patched(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a patch keeps the length");
    let mut patched = bytes.to_vec();
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = patched[at..]
        .windows(from.len())
        .position(|w| w == from.as_bytes())
    {
        at += next;
        patched[at..at + to.len()].copy_from_slice(to.as_bytes());
        found += 1;
    }
    assert!(found > 0, "`{from}` is not in the component");
    patched
}

/// A folder of plugins, with a place for what the host keeps.
pub struct House {
    dir: tempfile::TempDir,
    pub config: Config,
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plugins");
        std::fs::create_dir(&folder).unwrap();
        let config = Config {
            folder: Some(folder),
            kept: Some(dir.path().join("kept")),
            defaults: PluginDefaults::default(),
            plugins: BTreeMap::new(),
            require: Vec::new(),
            message_bytes: 4096,
            compiler: Compiler::Child(env!("CARGO_BIN_EXE_chat-host").into()),
            resolver: Resolver::default(),
        };
        Self { dir, config }
    }

    /// With the hostile plugin under these settings, and its compiled code in the cache: compiling takes a second.
    pub fn hostile(settings: &str) -> Self {
        static CODE: OnceLock<House> = OnceLock::new();
        let compiled = CODE.get_or_init(|| {
            let house = Self::new();
            house.put("hostile", hostile());
            house.open().unwrap();
            house
        });
        let mut house = Self::with_code_of(compiled);
        house.set("hostile", settings);
        house.put("hostile", hostile());
        house
    }

    /// With what another has compiled.
    pub fn with_code_of(compiled: &House) -> Self {
        let house = Self::new();
        std::fs::create_dir(house.kept("")).unwrap();
        private_copy(&compiled.kept("code"), &house.kept("code"));
        house
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.config
            .folder
            .as_ref()
            .unwrap()
            .join(format!("{name}.wasm"))
    }

    pub fn kept(&self, name: &str) -> PathBuf {
        self.config.kept.as_ref().unwrap().join(name)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn set(&mut self, name: &str, settings: &str) {
        let config = PluginConfig {
            settings: toml::from_str(settings).unwrap(),
            ..PluginConfig::default()
        };
        self.config.plugins.insert(name.into(), config);
    }

    pub fn open(&self) -> Result<Plugins, OpenError> {
        Plugins::open(self.config.clone())
    }
}

fn private_copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The one plugin of that name in force.
pub fn plugin(plugins: &Plugins, name: &str) -> Arc<dyn Plugin> {
    find(&plugins.set().borrow(), name).unwrap_or_else(|| panic!("`{name}` is not in force"))
}

pub fn find(set: &PluginSet, name: &str) -> Option<Arc<dyn Plugin>> {
    set.plugins
        .iter()
        .find(|plugin| plugin.manifest().name == name)
        .cloned()
}

/// Waits for a condition; panics with `what` after half a minute.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn message(text: &str) -> Message {
    Message {
        room: 3,
        sender: 5,
        sequence: 7,
        time_ms: 1_700_000_000_000,
        text: text.into(),
    }
}

pub fn item(text: &str) -> FormatItem {
    FormatItem {
        room: 3,
        sender: 5,
        body: TextBody::Plain(text.into()),
    }
}

pub fn timer(key: &str) -> Timer {
    Timer {
        key: key.into(),
        delay: Duration::from_secs(60),
        data: b"data".to_vec(),
    }
}

/// A host that remembers what plugins put, in one room, and knows everybody by number.
#[derive(Default)]
pub struct Memory {
    pub state: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What its message is known by.
    pub cause: Option<CauseId>,
}

impl Calls for Memory {
    fn state_get(&self, _plugin: &str, _at: u32, key: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().get(key).cloned()
    }

    fn state_put(
        &self,
        _plugin: &str,
        _at: u32,
        key: &str,
        value: Option<Vec<u8>>,
        _ttl: Option<Duration>,
    ) -> Result<(), String> {
        let mut state = self.state.lock().unwrap();
        match value {
            Some(value) => state.insert(key.into(), value),
            None => state.remove(key),
        };
        Ok(())
    }

    fn state_add(
        &self,
        _plugin: &str,
        _at: u32,
        key: &str,
        by: i64,
        _ttl: Option<Duration>,
    ) -> Result<i64, String> {
        let mut state = self.state.lock().unwrap();
        let before = state.get(key).map_or(Ok(0), |bytes| {
            <[u8; 8]>::try_from(bytes.as_slice())
                .map(i64::from_le_bytes)
                .map_err(|_| "not a counter")
        })?;
        let sum = before.checked_add(by).ok_or("too large")?;
        state.insert(key.into(), sum.to_le_bytes().to_vec());
        Ok(sum)
    }

    fn cause(&self, _at: u32) -> Option<CauseId> {
        self.cause
    }

    fn person_name(&self, person: u64) -> String {
        format!("person-{person}")
    }

    fn room_name(&self, room: u64) -> String {
        format!("room-{room}")
    }

    fn members(&self, _room: u64, limit: u32) -> Vec<u64> {
        (1..=u64::from(limit.min(9))).collect()
    }

    fn commands(&self) -> Vec<(String, String, String)> {
        vec![("help".into(), "[NAME]".into(), "Shows commands".into())]
    }
}

/// A component of very many functions, each with `additions` additions: nothing wrong with it, but long to compile.
pub fn long_to_compile(functions: u32, additions: u32) -> Vec<u8> {
    // times itself, plus itself
    let addition = [0x20, 0, 0x6c, 0x20, 0, 0x6a];
    functions_of(functions, &addition.repeat(additions as usize))
}

/// A component whose one function has so many blocks within one another.
pub fn deeply_nested(blocks: usize) -> Vec<u8> {
    let (begins, ends) = ([0x02, 0x40].repeat(blocks), vec![0x0b; blocks]);
    functions_of(1, &[begins, ends].concat())
}

/// A plugin that grows a table as far as it can before anybody calls it.
pub fn table_growth() -> Vec<u8> {
    include_bytes!("../guests/table_growth.wasm").to_vec()
}

/// A component of so many functions `(i32) -> i32`, each of these instructions on what it is given.
fn functions_of(functions: u32, instructions: &[u8]) -> Vec<u8> {
    fn number(mut value: u32, into: &mut Vec<u8>) {
        while value >= 0x80 {
            into.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        into.push(value as u8);
    }
    fn section(id: u8, content: &[u8], into: &mut Vec<u8>) {
        into.push(id);
        number(content.len() as u32, into);
        into.extend_from_slice(content);
    }
    // One type, `(i32) -> i32`; every function has it.
    let types = [1, 0x60, 1, 0x7f, 1, 0x7f];
    let mut body = vec![0]; // No locals.
    body.extend([0x20, 0]); // local.get 0
    body.extend_from_slice(instructions);
    body.push(0x0b); // end
    let (mut declared, mut bodies) = (Vec::new(), Vec::new());
    number(functions, &mut declared);
    number(functions, &mut bodies);
    declared.extend(vec![0; functions as usize]);
    for _ in 0..functions {
        number(body.len() as u32, &mut bodies);
        bodies.extend_from_slice(&body);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(1, &types, &mut module);
    section(3, &declared, &mut module);
    section(10, &bodies, &mut module);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(1, &module, &mut component);
    component
}

/// How long this thread has had a processor: others compile on this machine.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lines as people write them in a chat: most are short and plain, some have markup, addresses and names.
pub const TALK: [&str; 16] = [
    "hi all",
    "did anybody see the build fail this morning?",
    "yes, it's the new linker again :(",
    "I pinned it to the old version for now, should be green in ten minutes",
    "thanks @alice!",
    "np",
    "the write-up is at https://example.org/blog/2026/linkers.html if you want to read it",
    "that is **really** good",
    "안녕하세요, 오늘 회의는 몇 시에 시작하나요?",
    "three o'clock, same room as last week",
    "ok :thumbsup:",
    "has someone got the numbers from the load test? I need them for the report",
    "run `cargo bench` on your machine, it prints them at the end",
    "it says 5.7 million deliveries a second, which I don't quite believe",
    "believe it, I looked at the sequence numbers myself and not one of them was missing",
    "lunch?",
];

/// A word that nobody says, of up to nine letters.
pub fn made_up(number: u32) -> String {
    let letters = [b"bdfgklmn", b"aeiouyae", b"prstvxzz"];
    (0..9)
        .map(|place| {
            let choice = (number.wrapping_mul(2_654_435_761) >> (place * 3)) & 7;
            char::from(letters[place as usize % 3][choice as usize])
        })
        .collect()
}
