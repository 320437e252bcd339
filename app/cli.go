package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/postern-im/postern/internal/settings"
)

// cli is the command line.
type cli struct {
	Run     runCommand     `cmd:"" help:"Connect to the server and serve, until SIGTERM."`
	Demo    demoCommand    `cmd:"" help:"Try it: a server, the gateway and its network in one process."`
	Check   checkCommand   `cmd:"" help:"Find out what stands in the way of the gateway, and what to do about it."`
	Migrate migrateCommand `cmd:"" help:"Bring the schema of the database up to date, or back."`
	Grants  grantsCommand  `cmd:"" help:"Show what servers have granted."`
	Outbox  outboxCommand  `cmd:"" help:"Show what waits to be sent, and see to what could not be."`
	Secrets secretsCommand `cmd:"" help:"Make and change the keys that secrets of users are sealed with."`
	Version versionCommand `cmd:"" help:"Say which version this is, and of what it was built."`
}

// newCLI returns the command line of a program.
func newCLI(p *program) *cli {
	c := &cli{Run: runCommand{configured{p: p}}, Demo: demoCommand{p: p}, Check: checkCommand{configured: configured{p: p}}, Version: versionCommand{p}}
	for _, s := range []*stateful{
		&c.Migrate.Up.stateful, &c.Migrate.Down.stateful, &c.Migrate.Status.stateful, &c.Migrate.Version.stateful,
		&c.Grants.stateful, &c.Outbox.List.stateful, &c.Outbox.Retry.stateful, &c.Outbox.Drop.stateful,
		&c.Secrets.Rotate.stateful,
	} {
		s.p = p
	}
	c.Secrets.Generate.p = p
	return c
}

// configured is what commands have in common that read the configuration.
type configured struct {
	p *program

	Config   string `name:"config" short:"c" help:"YAML file with the configuration. Environment variables override it, and the flags below override these." placeholder:"FILE"`
	Settings Config `embed:""`
}

// command is what each command of cli can do. It returns the exit code.
type command interface {
	run(ctx context.Context, k *kong.Context) int
}

// run does what the command line says and returns the exit code.
func (p *program) run(ctx context.Context) int {
	helped := false
	parser, err := kong.New(newCLI(p),
		kong.Name(p.name),
		kong.Description(fmt.Sprintf("An XMPP gateway. %s COMMAND --help tells more of each command.", p.name)),
		kong.ExplicitGroups([]kong.Group{
			{Key: "component", Title: "Link to the server:"},
			{Key: "server", Title: "The server:"},
			{Key: "grants", Title: "Grants of the server:"},
			{Key: "database", Title: "State:"},
			{Key: "router", Title: "Load:"},
			{Key: "admin", Title: "Watching:"},
			{Key: "log", Title: "Log:"},
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.ValueFormatter(p.flagHelp),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.UsageOnError(),
	)
	if err != nil {
		p.complain(err)
		return ExitFailure
	}
	if len(p.args) == 0 {
		_, _ = parser.Parse([]string{"--help"}) // which only prints
		return ExitConfig
	}
	k, err := parser.Parse(p.args)
	switch {
	case helped:
		return ExitOK
	case err != nil:
		p.complain(err)
		var pe *kong.ParseError
		if errors.As(err, &pe) && pe.Context != nil {
			where := p.name
			if path := pe.Context.Command(); path != "" {
				where += " " + path
			}
			_, _ = fmt.Fprintf(p.stderr, "Try: %s --help\n", where) // no one to tell if even this fails
		}
		return ExitConfig
	}
	cmd, ok := k.Selected().Target.Addr().Interface().(command)
	if !ok {
		p.complain(fmt.Errorf("command %s does nothing", k.Command())) // cannot be: TestCommands runs each
		return ExitFailure
	}
	return cmd.run(ctx, k)
}

// flagHelp adds the environment variable to the help of a flag that has one.
func (p *program) flagHelp(v *kong.Value) string {
	help := kong.DefaultHelpValueFormatter(v)
	cfg := Defaults()
	for _, f := range settings.New(&cfg).Fields() {
		if f.Flag() != v.Name {
			continue
		}
		if def := fmt.Sprint(f.Any()); def != "" && def != "false" && def != "[]" && def != "0" {
			help = strings.TrimSuffix(help, ".") + fmt.Sprintf(" [%s].", def)
		}
		return help + " $" + f.Env(p.prefix)
	}
	return help
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

// load reads the configuration of a command.
func (c *configured) load(k *kong.Context) (Config, []string, error) {
	return load(c.source(k))
}

func (c *configured) source(k *kong.Context) source {
	p := c.p
	file := c.Config
	if file == "" {
		for _, e := range p.environ {
			if v, ok := strings.CutPrefix(e, p.prefix+"_CONFIG="); ok {
				file = v
			}
		}
	}
	return source{file: file, environ: p.environ, prefix: p.prefix, program: p.name, sections: p.sections, flags: func(s *settings.Set) {
		for _, at := range k.Path {
			if at.Flag != nil && at.Flag.Set {
				s.Flag(at.Flag.Name, reflect.Indirect(at.Flag.Target))
			}
		}
	}}
}
