//! The arguments of `gonogo check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Shared, Where, key_value};

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Runbooks: folders or files
    #[arg(required_unless_present = "rules")]
    pub files: Vec<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Also look at this environment, read-only: its servers, rights, objects, tools, probes; commands that bring secrets run
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// With --env: override a variable of the runbook
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = key_value, requires = "env")]
    pub set: Vec<(String, String)>,
    /// Print SARIF 2.1.0, for tools that collect findings
    #[arg(long, conflicts_with_all = ["json", "env"])]
    pub sarif: bool,
    /// Warnings fail the check too
    #[arg(long)]
    pub strict: bool,
    /// Leave out notes, or warnings as well; JSON and SARIF have everything
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "note")]
    pub least: Least,
    /// List every rule: its id, why it is there, what to do instead
    #[arg(long, conflicts_with_all = ["files", "sarif", "strict"])]
    pub rules: bool,
    #[command(flatten)]
    pub shared: Shared,
    #[command(flatten)]
    pub place: Where,
}

/// The mildest findings that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Least {
    Note,
    Warning,
    Error,
}
