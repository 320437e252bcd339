// Package cli is what the command lines of our programs have in common. Commands and flags are cobra's and pflag's; what is added are
// helps in groups that fit the terminal, arguments with names, variables in place of flags, and errors that say what may be meant.
//
// Of cobra only that is used which the linker can see through: no templates, which call methods by names that are not known
// before, so that every exported method of every package would stay in the program (decision 0011).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/postern-im/postern/internal/spelling"
)

// Line is a command line.
type Line struct {
	root   *cobra.Command
	leaves []*cobra.Command // the commands that do something, in the order in which help lists them
	chosen func(context.Context) int
}

// New returns a command line that has a program's name and says what it is about, and knows the commands help and completion.
func New(name, about string) *Line {
	l := &Line{root: &cobra.Command{
		Use: name, Long: about, SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return environ(cmd.Flags()) },
	}}
	l.parent(l.root)
	l.root.SetFlagErrorFunc(explain)
	l.root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { l.help(cmd.OutOrStdout(), cmd) })
	l.root.AddCommand(l.completionCommand())
	l.root.SetHelpCommand(l.helpCommand())
	l.root.InitDefaultHelpCmd()
	return l
}

// Group adds a command that has commands.
func (l *Line) Group(name, short string) {
	cmd := &cobra.Command{Use: name, Short: short}
	l.parent(cmd)
	l.root.AddCommand(cmd)
}

// Add adds a command to a group, or to none where that is "". What it does, run, returns the exit code.
func (l *Line) Add(group string, cmd *cobra.Command, run func(context.Context) int) {
	if cmd.Args == nil {
		cmd.Args = atMost(0)
	}
	cmd.Run = func(*cobra.Command, []string) { l.chosen = run }
	cmd.Flags().SortFlags = false
	to := l.root
	for _, c := range l.root.Commands() {
		if c.Name() == group {
			to = c
		}
	}
	to.AddCommand(cmd)
	l.leaves = append(l.leaves, cmd)
}

// Find returns the command with this path, such as "migrate", "up"; or nil.
func (l *Line) Find(path ...string) *cobra.Command {
	cmd, rest, err := l.root.Find(path)
	if err != nil || len(rest) > 0 {
		return nil
	}
	return cmd
}

// UsageError is a mistake in a command line.
type UsageError struct {
	Err     error
	Command string // whose help tells more: "gateway run"
}

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *UsageError) Unwrap() error { return e.Err }

// Hint says where to read more.
func (e *UsageError) Hint() string { return "Try: " + e.Command + " --help" }

// Parse reads the arguments of a program and returns what the command does that they name; nil where all that they ask for was
// written to out, as a help is. An error is a [*UsageError]. A line can be used once.
//
// Nothing of the command line is referred to any more when the command does its work, unless the command does.
func (l *Line) Parse(args []string, out io.Writer) (run func(context.Context) int, err error) {
	l.root.SetArgs(args)
	l.root.SetOut(out)
	cmd, err := l.root.ExecuteC()
	if err != nil {
		return nil, &UsageError{Err: err, Command: cmd.CommandPath()}
	}
	return l.chosen, nil
}

// Help writes the help of the whole program.
func (l *Line) Help(out io.Writer) { l.help(out, l.root) }

// parent makes a command refuse to be called without one of those below it.
func (l *Line) parent(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("unexpected argument %s%s", args[0], meant(cmd.SuggestionsFor(args[0])...))
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		var names []string
		for _, c := range l.listed(cmd) {
			name, _, _ := strings.Cut(below(cmd, c), " ")
			names = append(names, strconv.Quote(name))
		}
		return fmt.Errorf("expected one of %s", strings.Join(slices.Compact(names), ", "))
	}
}

// below returns how a command is called by those who have called the one above it.
func below(above, cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), above.CommandPath()+" ")
}

// meant suggests the first of what may be meant, if there is any.
func meant(names ...string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", names[0])
}

// explain says what is wrong with a flag.
func explain(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		name := unknown.GetSpecifiedName()
		if near := spelling.Nearest(name, names); near != "" {
			return fmt.Errorf("unknown flag --%s%s", name, meant("--"+near))
		}
		return fmt.Errorf("unknown flag --%s", name)
	case errors.As(err, &bare):
		return fmt.Errorf("--%s: the value is missing", bare.GetFlag().Name)
	case errors.As(err, &bad):
		return fmt.Errorf("--%s: %w", bad.GetFlag().Name, bad.Unwrap())
	}
	return err
}

// plain says in words why a number is none.
func plain(err error) error {
	var number *strconv.NumError
	switch {
	case !errors.As(err, &number):
		return err
	case errors.Is(number.Err, strconv.ErrRange):
		return fmt.Errorf("%q is out of range", number.Num)
	}
	return fmt.Errorf("%q is not a whole number", number.Num)
}

// Keys of annotations.
const (
	groupKey    = "group"    // of a flag: under which title help shows it
	variableKey = "variable" // of a flag: the environment variable that stands in for it
	argumentKey = "argument" // of a command: how help shows its arguments
	meaningKey  = "meaning"  // of a command: what they are
)

// Group lets help show flags under a title of their own.
func Group(flags *pflag.FlagSet, title string, names ...string) {
	annotate(flags, groupKey, title, names...)
}

// Env lets an environment variable stand in for a flag that is not given, unless it is empty.
func Env(flags *pflag.FlagSet, name, variable string) { annotate(flags, variableKey, variable, name) }

func annotate(flags *pflag.FlagSet, key, value string, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, key, []string{value}); err != nil {
			panic("cli: " + err.Error()) // a mistake in the program
		}
	}
}

func annotation(f *pflag.Flag, key string) string { return strings.Join(f.Annotations[key], "") }

// environ takes the values of environment variables.
func environ(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := annotation(f, variableKey)
		if f.Changed || variable == "" || os.Getenv(variable) == "" {
			return
		}
		if e := f.Value.Set(os.Getenv(variable)); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", variable, e))
		}
	})
	return err
}

// Arguments lets a command have arguments: at least so many, and at most so many, or any number where most is 0. Each is given to
// take. Help and errors call them by their name.
func Arguments(cmd *cobra.Command, name, meaning string, least, most int, take func(text string) error) {
	form := "<" + name + ">"
	if most != 1 {
		form += " ..."
	}
	shown := form
	if least == 0 {
		shown = "[" + form + "]"
	}
	cmd.Use += " " + shown
	cmd.Annotations = map[string]string{argumentKey: shown, meaningKey: meaning}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return fmt.Errorf("expected %q", form)
		}
		if most > 0 {
			if err := atMost(most)(cmd, args); err != nil {
				return err
			}
		}
		for _, text := range args {
			if err := take(text); err != nil {
				return fmt.Errorf("<%s>: %w", name, plain(err))
			}
		}
		return nil
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("unexpected argument %s", args[n])
		}
		return nil
	}
}
