package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/internal/cli"
)

// command is one command of the program.
type command interface {
	// define says what the command is called, what help tells of it, and which flags and arguments it has.
	define() *cobra.Command
	// run does what the command is for and returns the exit code.
	run(ctx context.Context) int
}

// commandLine returns the command line of the program.
func (p *program) commandLine() *cli.Line {
	l := cli.New(p.name, fmt.Sprintf("An XMPP gateway. %s COMMAND --help tells more of each command.", p.name))
	add := func(group string, c command) { l.Add(group, c.define(), c.run) }
	settings := configured{p: p}
	state := stateful{configured: settings}

	add("", &runCommand{configured: settings})
	add("", &demoCommand{p: p})
	add("", &checkCommand{configured: settings})
	l.Group("migrate", "Bring the schema of the database up to date, or back.")
	add("migrate", &migrateUp{migrating{stateful: state}})
	add("migrate", &migrateDown{migrating: migrating{stateful: state}})
	add("migrate", &migrateStatus{migrating{stateful: state}})
	add("migrate", &migrateVersion{migrating{stateful: state}})
	add("", &grantsCommand{stateful: state})
	l.Group("outbox", "Show what waits to be sent, and see to what could not be.")
	add("outbox", &outboxList{stateful: state})
	add("outbox", &outboxRetry{letters{stateful: state}})
	add("outbox", &outboxDrop{letters{stateful: state}})
	l.Group("secrets", "Make and change the keys that secrets of users are sealed with.")
	add("secrets", &secretsGenerate{p: p})
	add("secrets", &secretsRotate{stateful: state})
	add("", &versionCommand{p: p})
	return l
}

// run does what the command line says and returns the exit code.
func (p *program) run(ctx context.Context) int {
	if len(p.args) == 0 {
		p.commandLine().Help(p.stdout)
		return ExitConfig
	}
	run, err := p.commandLine().Parse(p.args, p.stdout)
	if err != nil {
		p.complain(err)
		var usage *cli.UsageError
		if errors.As(err, &usage) {
			_, _ = fmt.Fprintln(p.stderr, usage.Hint()) // no one to tell if even this fails
		}
		return ExitConfig
	}
	if run == nil { // a help was asked for
		return ExitOK
	}
	return run(ctx)
}

// expand fills the program's name and the prefix of its environment variables into a help text.
func (p *program) expand(text string) string {
	return strings.NewReplacer("${name}", p.name, "${prefix}", p.prefix).Replace(text)
}

// complain tells the user what is wrong, a line for each thing.
func (p *program) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(p.stderr, "%s: %s\n", p.name, line) // no one to tell if even this fails
	}
}
