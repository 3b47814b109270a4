"""Many runs from one command: games x cores x variations x seeds, each in a process of its own."""
