//! One version of a plugin as code: compiled, linked, and asked which roles it exports.
//!
//! Knows the interface's names and versions; has not run a single instruction of the plugin.

use wasmtime::component::{Component, InstancePre};
use wasmtime::{AsContextMut, component::Instance};

use super::Roles;
use super::bindings::exports::chat::plugin as exports;
use super::engine::Engine;
use super::load_error::Reason;
use super::outside::Outside;

/// The package whose interfaces are ours.
const PACKAGE: &str = "chat:plugin/";

/// What plugins with a grant alone may import.
const HTTP: &str = "wasi:http/";

/// The interface version that this host serves: 1.1, and so any 1.x that uses nothing newer.
const MAJOR: u64 = 1;

/// Code that can be instantiated any number of times. Cheap to clone.
#[derive(Clone)]
pub(super) struct Linked {
    pre: InstancePre<Outside>,
    plugin: exports::plugin::GuestIndices,
    moderation: Option<exports::moderation::GuestIndices>,
    commands: Option<exports::commands::GuestIndices>,
    formatting: Option<exports::formatting::GuestIndices>,
    review: Option<exports::review::GuestIndices>,
    timers: Option<exports::timers::GuestIndices>,
    migration: Option<exports::migration::GuestIndices>,
    pub(super) roles: Roles,
    /// For which version of the interface it was built.
    pub(super) interface: String,
}

/// One instance's functions.
pub(super) struct Exports {
    pub(super) plugin: exports::plugin::Guest,
    pub(super) moderation: Option<exports::moderation::Guest>,
    pub(super) commands: Option<exports::commands::Guest>,
    pub(super) formatting: Option<exports::formatting::Guest>,
    pub(super) review: Option<exports::review::Guest>,
    pub(super) timers: Option<exports::timers::Guest>,
    pub(super) migration: Option<exports::migration::Guest>,
}

impl Linked {
    /// With `wasi:http` where `may_http` says so.
    ///
    /// # Errors
    /// [`Reason::Interface`] for another version of the interface, [`Reason::Link`] for an import that this host does
    /// not give, [`Reason::NoRole`] and [`Reason::NotAPlugin`].
    pub(super) fn new(
        engine: &Engine,
        component: &Component,
        may_http: bool,
    ) -> Result<Self, Reason> {
        let Exported {
            roles,
            migration,
            interface,
        } = exported(engine, component)?;
        let link = |error: wasmtime::Error| Reason::Link(format!("{error:#}"));
        let pre = engine
            .linker(may_http)
            .instantiate_pre(component)
            .map_err(link)?;
        macro_rules! role {
            ($role:ident) => {
                if roles.$role {
                    Some(exports::$role::GuestIndices::new(&pre).map_err(link)?)
                } else {
                    None
                }
            };
        }
        Ok(Self {
            plugin: exports::plugin::GuestIndices::new(&pre).map_err(link)?,
            moderation: role!(moderation),
            commands: role!(commands),
            formatting: role!(formatting),
            review: role!(review),
            timers: role!(timers),
            migration: match migration {
                true => Some(exports::migration::GuestIndices::new(&pre).map_err(link)?),
                false => None,
            },
            roles,
            interface,
            pre,
        })
    }

    pub(super) fn pre(&self) -> &InstancePre<Outside> {
        &self.pre
    }

    /// Finds the functions of an instance of this code.
    ///
    /// # Errors
    /// When a function has another type than the interface says.
    pub(super) fn exports(
        &self,
        mut store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<Exports> {
        macro_rules! role {
            ($role:ident) => {
                match &self.$role {
                    Some(indices) => Some(indices.load(&mut store, instance)?),
                    None => None,
                }
            };
        }
        Ok(Exports {
            plugin: self.plugin.load(&mut store, instance)?,
            moderation: role!(moderation),
            commands: role!(commands),
            formatting: role!(formatting),
            review: role!(review),
            timers: role!(timers),
            migration: role!(migration),
        })
    }
}

/// What of `wasi:http` a component imports; the first of it.
pub(super) fn http_import(engine: &Engine, component: &Component) -> Option<String> {
    let ty = component.component_type();
    ty.imports(engine.wasmtime())
        .map(|(name, _)| name.to_owned())
        .find(|name| name.starts_with(HTTP))
}

/// What a component exports of the interface.
struct Exported {
    roles: Roles,
    migration: bool,
    interface: String,
}

/// Reads the roles off the exports' names, whose versions say for which interface the component was built.
fn exported(engine: &Engine, component: &Component) -> Result<Exported, Reason> {
    let mut roles = Roles::default();
    let (mut plugin, mut migration) = (false, false);
    let mut interface_version = String::new();
    let ty = component.component_type();
    for (name, _) in ty.exports(engine.wasmtime()) {
        let Some((interface, version)) = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.split_once('@'))
        else {
            continue;
        };
        if version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            != Some(MAJOR)
        {
            return Err(Reason::Interface(short(version).into()));
        }
        interface_version = interface_version.max(short(version).into());
        match interface {
            "plugin" => plugin = true,
            "migration" => migration = true,
            "moderation" => roles.moderation = true,
            "commands" => roles.commands = true,
            "formatting" => roles.formatting = true,
            "review" => roles.review = true,
            "timers" => roles.timers = true,
            // A later 1.x may add roles; one that this host never calls must not be taken for one it does.
            other => return Err(Reason::UnknownRole(other.into(), short(version).into())),
        }
    }
    if !plugin {
        return Err(Reason::NotAPlugin);
    }
    if roles == Roles::default() {
        return Err(Reason::NoRole);
    }
    Ok(Exported {
        roles,
        migration,
        interface: interface_version,
    })
}

/// `2.0` of `2.0.0`.
fn short(version: &str) -> &str {
    match version.match_indices('.').nth(1) {
        Some((at, _)) => version.get(..at).unwrap_or(version),
        None => version,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_version_is_told_by_its_first_two_numbers() {
        assert_eq!(short("2.0.0"), "2.0");
        assert_eq!(short("2.1"), "2.1");
        assert_eq!(short("2"), "2");
    }
}
