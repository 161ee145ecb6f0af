//! The arguments of what writes runbooks: `gonogo init` and `gonogo import`.

use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The runbook's folder
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// What the window is called [default: after the folder]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// The runbook's id [default: after the title]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Its environment: staging, production; one that starts with `prod` is protected [default: staging]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// The environment variable that holds the database's address [default: after the environment]
    #[arg(long, value_name = "NAME")]
    pub url_env: Option<String>,
    /// How long the window lasts [default: 2h]
    #[arg(long, value_name = "DURATION")]
    pub lasts: Option<String>,
    /// A folder of SQL files inside the runbook's folder [default: sql, where it is there]
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<String>,
    /// Ask nothing: what no flag says has its default
    #[arg(long, short = 'y')]
    pub yes: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// The guide, in Markdown
    pub guide: PathBuf,
    /// The folder of the draft [default: the guide's path without its ending]
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// The account of every line as JSON
    #[arg(long)]
    pub json: bool,
}
