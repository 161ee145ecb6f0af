//! The program's door: hands the command line to `app` and its answer to the system.

use std::process::ExitCode;

use clap::Parser;
use color_eyre::eyre::Report;

fn main() -> Result<ExitCode, Report> {
    let cli = gonogo::cli::Cli::parse();
    color_eyre::install()?;
    Ok(ExitCode::from(gonogo::app::run(cli)?))
}
