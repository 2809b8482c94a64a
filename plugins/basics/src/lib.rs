//! stub
use chat_plugin::{Manifest, Call, Commands, Effect, Plugin};
struct B;
impl Plugin for B { type Settings = chat_plugin::NoSettings;
 fn manifest() -> Manifest { Manifest::new("basics", "1") }
 fn start(_: Self::Settings) -> Result<Self, String> { Ok(B) } }
impl Commands for B { fn run(&mut self, _c: Call<'_>) -> Result<Vec<Effect>, String> { Ok(vec![Effect::say(format!("{}", chat_plugin::random_u64()))]) } }
chat_plugin::export!(B: commands);
