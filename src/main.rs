fn main() -> std::process::ExitCode {
    pillarbox::cli::main()
}
