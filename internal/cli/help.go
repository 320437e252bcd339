package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// helpCommand is "help", which does the same as --help.
func (l *Line) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [<command>]", Short: "Show the help of a command.", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := l.root.Find(args)
			if err == nil && len(rest) > 0 {
				err = of.ValidateArgs(rest[:1])
				if err == nil {
					err = fmt.Errorf("unexpected argument %s", rest[0])
				}
			}
			if err != nil {
				return err
			}
			l.help(cmd.OutOrStdout(), of)
			return nil
		},
	}
}

// completionCommand is "completion".
func (l *Line) completionCommand() *cobra.Command {
	shells := map[string]func(io.Writer) error{
		"bash": func(w io.Writer) error { return l.root.GenBashCompletionV2(w, true) },
		"zsh":  l.root.GenZshCompletion,
		"fish": func(w io.Writer) error { return l.root.GenFishCompletion(w, true) },
	}
	var write func(io.Writer) error
	cmd := &cobra.Command{
		Use: "completion", Short: "Print a script with which a shell completes commands and flags.",
		Example:   "  source <(" + l.root.Name() + " completion bash)",
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE:      func(cmd *cobra.Command, _ []string) error { return write(cmd.OutOrStdout()) },
	}
	Arguments(cmd, "shell", "bash, zsh or fish.", 1, 1, func(text string) error {
		write = shells[text]
		if write == nil {
			return fmt.Errorf("%q is not bash, zsh or fish", text)
		}
		return nil
	})
	return cmd
}

// help writes the help of a command.
func (l *Line) help(w io.Writer, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag() // so that the usage line mentions flags
	p := page{width: width(w)}
	if cmd.HasSubCommands() {
		p.text("Usage: " + cmd.CommandPath() + " <command>")
	} else {
		p.text("Usage: " + cmd.UseLine())
	}
	p.text(cmd.Short)
	p.text(cmd.Long)
	if cmd.Example != "" {
		p.text("Examples:")
		p.b.WriteString(strings.TrimRight(cmd.Example, "\n") + "\n\n")
	}
	if form := cmd.Annotations[argumentKey]; form != "" {
		p.table("Arguments:", []row{{form, cmd.Annotations[meaningKey]}})
	}
	p.flags(cmd.Flags())
	if cmd.HasSubCommands() {
		var rows []row
		for _, c := range l.listed(cmd) {
			rows = append(rows, row{below(cmd, c), c.Short})
		}
		p.table("Commands:", rows)
		p.text(fmt.Sprintf("Run \"%s <command> --help\" for more information on a command.", cmd.CommandPath()))
	}
	_, _ = io.WriteString(w, strings.TrimRight(p.b.String(), "\n")+"\n") // no one to tell if even this fails
}

// listed returns the commands below one, in the order in which they were added, and at last those that all programs have.
func (l *Line) listed(parent *cobra.Command) (list []*cobra.Command) {
	for _, c := range l.leaves {
		if parent == l.root || c.Parent() == parent {
			list = append(list, c)
		}
	}
	if parent == l.root {
		for _, name := range []string{"help", "completion"} {
			if c := l.Find(name); c != nil && c != l.root {
				list = append(list, c)
			}
		}
	}
	return list
}

// width returns how wide a help may be.
func width(w io.Writer) int {
	const usual, least, most = 80, 40, 120
	f, ok := w.(*os.File)
	if !ok {
		return usual
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return usual
	}
	return min(max(n, least), most)
}

// page is a help that is being written.
type page struct {
	b     strings.Builder
	width int
}

// text writes paragraphs, which empty lines divide.
func (p *page) text(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		for _, line := range wrap(paragraph, p.width) {
			p.b.WriteString(line + "\n")
		}
		if paragraph != "" {
			p.b.WriteString("\n")
		}
	}
}

// row is a row of a table.
type row struct{ left, right string }

// table writes rows in two columns. What is too long for the left one has a line of its own.
func (p *page) table(title string, rows []row) {
	column := 0
	for _, r := range rows {
		if n := len(r.left); n <= p.width*2/5 {
			column = max(column, n)
		}
	}
	const margin, gap = 2, 4
	indent := margin + column + gap
	p.b.WriteString(title + "\n")
	for _, r := range rows {
		left := strings.Repeat(" ", margin) + r.left
		if len(r.left) > column {
			p.b.WriteString(left + "\n")
			left = ""
		}
		for _, line := range wrap(r.right, max(p.width-indent, 1)) {
			fmt.Fprintf(&p.b, "%-*s%s\n", indent, left, line)
			left = ""
		}
	}
	p.b.WriteString("\n")
}

// flags writes the flags, each group under its title.
func (p *page) flags(all *pflag.FlagSet) {
	const ungrouped = "Flags:"
	groups := map[string][]*pflag.Flag{}
	titles := []string{ungrouped}
	short := map[string]bool{ungrouped: true} // -h
	all.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		title := ungrouped
		if t := annotation(f, groupKey); t != "" {
			title = t
		}
		if groups[title] == nil && title != ungrouped {
			titles = append(titles, title)
		}
		groups[title] = append(groups[title], f)
		short[title] = short[title] || f.Shorthand != ""
	})
	for _, title := range titles {
		var rows []row
		if title == ungrouped {
			rows = append(rows, row{"-h, --help", "Show this help."})
		}
		for _, f := range groups[title] {
			rows = append(rows, describe(f, all.Lookup("no-"+f.Name) != nil, short[title]))
		}
		p.table(title, rows)
	}
}

// describe shows a flag: whether "no-" may stand before its name, and whether others in its group have a letter.
func describe(f *pflag.Flag, negatable, short bool) row {
	placeholder, usage := pflag.UnquoteUsage(f)
	switch placeholder {
	case "duration":
		placeholder = "TIME"
	case "int":
		placeholder = "N"
	case "string":
		placeholder = "TEXT"
	}
	left := "--" + f.Name
	if negatable {
		left = "--[no-]" + f.Name
	}
	if placeholder != "" {
		left += "=" + placeholder
	}
	switch {
	case f.Shorthand != "":
		left = "-" + f.Shorthand + ", " + left
	case short:
		left = "    " + left
	}
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
	default:
		if !strings.Contains(usage, "default") {
			usage = strings.TrimSuffix(usage, ".") + " [" + f.DefValue + "]."
		}
	}
	if variable := annotation(f, variableKey); variable != "" {
		usage += " $" + variable
	}
	return row{left, usage}
}

// wrap breaks a paragraph into lines of at most so many characters, where its words are not longer.
func wrap(paragraph string, width int) (lines []string) {
	line, length := "", 0
	for word := range strings.FieldsSeq(paragraph) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines = append(lines, line)
			line, length = "", 0
		}
		if length > 0 {
			line += " "
			length++
		}
		line += word
		length += n
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}
