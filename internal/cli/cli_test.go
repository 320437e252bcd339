package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tool is a command line with something of everything, and what was given on it.
type tool struct {
	*Line
	ran     string
	number  int
	wait    time.Duration
	level   string
	fast    bool
	address string
	numbers []int
}

func newTool() *tool {
	c := &tool{Line: New("tool", "A tool. It is for the test, and this sentence is long enough to be broken into two lines, at a space.")}
	run := &cobra.Command{Use: "run", Short: "Run.", Long: "Runs.\n\nA second paragraph.", Example: "  tool run  --fast"}
	flags := run.Flags()
	flags.IntVarP(&c.number, "number", "n", 5, "How many.")
	flags.DurationVar(&c.wait, "wait", time.Minute, "How long; default a minute.")
	Enum(flags, &c.level, "level", "info", "`LEVEL` of the log.", "debug", "info")
	flags.BoolVar(&c.fast, "fast", false, "Be fast.")
	flags.StringVar(&c.address, "a-flag-with-a-rather-long-name", "", "Where to go.")
	Group(flags, "Link:", "a-flag-with-a-rather-long-name", "fast")
	for name, variable := range map[string]string{"fast": "TOOL_FAST", "number": "TOOL_NUMBER", "wait": "TOOL_WAIT"} {
		Env(flags, name, variable)
	}
	c.Add("", run, c.does("run"))

	c.Group("list", "Lists.")
	add := &cobra.Command{Use: "add", Short: "Add to the list."}
	Arguments(add, "n", "Numbers to add.", 1, 0, func(text string) error {
		n, err := strconv.Atoi(text)
		c.numbers = append(c.numbers, n)
		return err
	})
	c.Add("list", add, c.does("add"))
	show := &cobra.Command{Use: "show", Short: "Show the list."}
	Arguments(show, "n", "Which of them.", 0, 1, func(string) error { return nil })
	c.Add("list", show, c.does("show"))
	return c
}

func (c *tool) does(what string) func(context.Context) int {
	return func(context.Context) int {
		c.ran = what
		return 7
	}
}

func (c *tool) call(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var b strings.Builder
	run, err := c.Parse(args, &b)
	if c.ran != "" {
		t.Error("it ran while the command line was read")
	}
	if (run != nil) == (err != nil || b.Len() > 0) {
		t.Errorf("something to run: %v, and %q, %v", run != nil, b.String(), err)
	}
	if run != nil {
		if code := run(t.Context()); code != 7 {
			t.Errorf("exit code %d", code)
		}
	}
	return b.String(), err
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		env        map[string]string
		want       string
	}{
		{"nothing given", "run", nil, "run 5 1m0s info false  []"},
		{"all flags", "run -n3 --wait=2s --level debug --fast --a-flag-with-a-rather-long-name x", nil, "run 3 2s debug true x []"},
		{"letter and value apart", "run -n 3 --fast=false", nil, "run 3 1m0s info false  []"},
		{"variables", "run", map[string]string{"TOOL_NUMBER": "4", "TOOL_FAST": "true", "TOOL_WAIT": ""}, "run 4 1m0s info true  []"},
		{"flags over variables", "run -n 3", map[string]string{"TOOL_NUMBER": "x"}, "run 3 1m0s info false  []"},
		{"arguments", "list add 1 2 3", nil, "add 0 0s  false  [1 2 3]"},
		{"arguments behind dashes", "list add -- -1", nil, "add 0 0s  false  [-1]"},
		{"no argument", "list show", nil, "show 0 0s  false  []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			c := newTool()
			if !strings.HasPrefix(tt.args, "run") {
				c.number, c.wait, c.level = 0, 0, ""
			}
			if _, err := c.call(t, strings.Fields(tt.args)...); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(c.ran, " ", c.number, " ", c.wait, " ", c.level, " ", c.fast, " ", c.address, " ", c.numbers); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Setenv("TOOL_WAIT", "soon")
	for _, tt := range []struct{ name, args, want, command string }{
		{"no such command", "fly", "unexpected argument fly", "tool"},
		{"nearly a command", "rnu", `unexpected argument rnu, did you mean "run"?`, "tool"},
		{"no such command of a group", "list fly", "unexpected argument fly", "tool list"},
		{"nearly a command of a group", "list ad", `unexpected argument ad, did you mean "add"?`, "tool list"},
		{"a group alone", "list", `expected one of "add", "show"`, "tool list"},
		{"no command", "--", `expected one of "run", "list", "help", "completion"`, "tool"},
		{"no such flag", "run --xyz", "unknown flag --xyz", "tool run"},
		{"nearly a flag", "run --fats", `unknown flag --fats, did you mean "--fast"?`, "tool run"},
		{"no such letter", "run -x", "unknown flag -x", "tool run"},
		{"a flag of another command", "list show --fast", "unknown flag --fast", "tool list show"},
		{"no value", "run --number", "--number: the value is missing", "tool run"},
		{"no number", "run --number x", "--number: must be an integer", "tool run"},
		{"no switch", "run --fast=maybe", "--fast: must be true or false", "tool run"},
		{"none of the values", "run --level loud", `--level: must be one of "debug", "info", not "loud"`, "tool run"},
		{"a variable", "run", "TOOL_WAIT: ", "tool run"},
		{"an argument is missing", "list add", `expected "<n> ..."`, "tool list add"},
		{"an argument is wrong", "list add 1 b", `<n>: "b" is not a whole number`, "tool list add"},
		{"too large an argument", "list add 99999999999999999999", `<n>: "99999999999999999999" is out of range`, "tool list add"},
		{"an argument too many", "list show 1 2", "unexpected argument 2", "tool list show"},
		{"an argument where there are none", "run 1 --wait 1s", "unexpected argument 1", "tool run"},
		{"help of nothing", "help list fly", "unexpected argument fly", "tool help"},
		{"help of nearly something", "help lsit", `unexpected argument lsit, did you mean "list"?`, "tool help"},
		{"no such shell", "completion tcsh", `<shell>: "tcsh" is not bash, zsh or fish`, "tool completion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := newTool().call(t, strings.Fields(tt.args)...)
			var u *UsageError
			if !errors.As(err, &u) || !strings.HasPrefix(u.Error(), tt.want) || strings.HasSuffix(tt.want, ": ") == (u.Error() == tt.want) || u.Unwrap() == nil {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if want := "Try: " + tt.command + " --help"; u.Hint() != want {
				t.Errorf("%s, want %s", u.Hint(), want)
			}
			if out != "" {
				t.Errorf("written: %s", out)
			}
		})
	}
}

const helpOfAll = `Usage: tool <command>

A tool. It is for the test, and this sentence is long enough to be broken into
two lines, at a space.

Flags:
  -h, --help    Show this help.

Commands:
  run           Run.
  list add      Add to the list.
  list show     Show the list.
  help          Show the help of a command.
  completion    Print a script with which a shell completes commands and flags.

Run "tool <command> --help" for more information on a command.
`

const helpOfRun = `Usage: tool run [flags]

Run.

Runs.

A second paragraph.

Examples:

  tool run  --fast

Flags:
  -h, --help           Show this help.
  -n, --number=N       How many [5]. $TOOL_NUMBER
      --wait=TIME      How long; default a minute. $TOOL_WAIT
      --level=LEVEL    LEVEL of the log [info].

Link:
  --fast    Be fast. $TOOL_FAST
  --a-flag-with-a-rather-long-name=TEXT
            Where to go.
`

const helpOfAdd = `Usage: tool list add <n> ... [flags]

Add to the list.

Arguments:
  <n> ...    Numbers to add.

Flags:
  -h, --help    Show this help.
`

func TestHelp(t *testing.T) {
	for _, tt := range []struct{ name, args, want string }{
		{"flag", "--help", helpOfAll},
		{"letter", "-h", helpOfAll},
		{"command", "help", helpOfAll},
		{"of a command", "run --help", helpOfRun},
		{"of a command, behind others", "run -n 3 -h --fast", helpOfRun},
		{"of a command, by the command", "help run", helpOfRun},
		{"arguments", "list add --help", helpOfAdd},
		{"arguments, by the command", "help list add", helpOfAdd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := newTool().call(t, strings.Fields(tt.args)...); err != nil || got != tt.want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, tt.want)
			}
		})
	}
	if got, err := newTool().call(t, "list", "--help"); err != nil || !strings.Contains(got, "Usage: tool list <command>") || strings.Contains(got, "completion") {
		t.Errorf("%v, got\n%s", err, got)
	}
	var b strings.Builder
	if newTool().Help(&b); b.String() != helpOfAll {
		t.Errorf("got\n%s", b.String())
	}
}

// TestCompletion has the scripts, and what they ask the program for.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got, err := newTool().call(t, "completion", shell); err != nil || !strings.Contains(got, "tool") || !strings.Contains(got, "__complete") {
			t.Errorf("%s: %v, %s", shell, err, got)
		}
	}
	for args, want := range map[string]string{
		"l": "list\tLists.\n", "run --fa": "--fast\tBe fast.\n", "completion f": "fish\n",
	} {
		got, err := newTool().call(t, append([]string{"__complete"}, strings.Fields(args)...)...)
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %v, %q", args, err, got)
		}
	}
}

func TestFind(t *testing.T) {
	c := newTool()
	if cmd := c.Find("list", "add"); cmd == nil || cmd.Name() != "add" {
		t.Errorf("found %v", cmd)
	}
	if cmd := c.Find("list", "fly"); cmd != nil {
		t.Errorf("found %v", cmd.Name())
	}
}
