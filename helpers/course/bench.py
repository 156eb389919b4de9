def add_parser(commands):
    commands.add_parser("bench")
