// Package xmpptool is what the program xmpp can do: examine the XMPP service of a domain, send messages, look around and ping, all
// as a client would. To say something in a room it joins it (XEP-0045 v1.35).
package xmpptool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/jid"
)

// Exit codes of the program.
const (
	ExitOK      = 0 // all that was asked for was done; of check: nothing failed
	ExitFailure = 1 // something was not: no connection, an error in reply, a verdict that says FAIL
	ExitUsage   = 2 // the command line, or a file that it names, is wrong: nothing was tried
	ExitRefused = 3 // the server refuses to sign the account in
)

// Name is what the program calls itself.
const name = "xmpp"

// Tool is one call of the program. New returns one for this process; tests make their own.
type Tool struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Ask puts a question to the user and returns the answer, which is not shown. It fails where there is nobody to ask.
	Ask func(question string) (string, error)
	// Resolver and Dial are the way to the network.
	Resolver Resolver
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Resolver asks DNS. A *net.Resolver is one.
type Resolver interface {
	client.Resolver
	// LookupNetIP returns the addresses of a host; network "ip" means both kinds.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// New returns the call that this process is.
func New() *Tool {
	return &Tool{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Ask: askTerminal, Resolver: net.DefaultResolver, Dial: new(net.Dialer).DialContext,
	}
}

// cli is the command line.
type cli struct {
	Check checkCommand `cmd:"" help:"Examine the XMPP service of a domain, as a client sees it."`
	Send  sendCommand  `cmd:"" help:"Send a text from standard input to people and rooms."`
	Disco discoCommand `cmd:"" help:"Show what an address is, what it can do, and what belongs to it."`
	Ping  pingCommand  `cmd:"" help:"Ask addresses for a sign of life."`
}

// command is what each command of cli can do. It returns the exit code.
type command interface {
	run(ctx context.Context, t *Tool) int
}

const description = `An operator's XMPP client. xmpp COMMAND --help tells more of each command, with examples.

Exit codes: 0 done, 1 something failed, 2 wrong command line, 3 the server refuses to sign the account in.`

// Run does what the command line says and returns the exit code. It ends early when ctx does.
func (t *Tool) Run(ctx context.Context) int {
	helped := false
	parser, err := kong.New(new(cli),
		kong.Name(name),
		kong.Description(description),
		kong.ExplicitGroups([]kong.Group{{Key: "account", Title: "Account and server:"}}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.TypeMapper(reflect.TypeFor[jid.Strict](), kong.MapperFunc(address)),
		kong.Writers(t.Stdout, t.Stderr),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return t.fail(problem{err: err}, false)
	}
	if len(t.Args) == 0 {
		_, _ = parser.Parse([]string{"--help"}) // which only prints
		return ExitUsage
	}
	k, err := parser.Parse(t.Args)
	switch {
	case helped:
		return ExitOK
	case err != nil:
		where := name
		var pe *kong.ParseError
		if errors.As(err, &pe) && pe.Context != nil && pe.Context.Selected() != nil {
			where += " " + pe.Context.Selected().Name
		}
		return t.fail(usage(err, "Try: "+where+" --help"), false)
	}
	return k.Selected().Target.Addr().Interface().(command).run(ctx, t)
}

// address reads an address from the command line, where an error must not repeat control characters on a terminal.
func address(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("JID", &text); err != nil {
		return err
	}
	j, err := jid.Parse(text)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", text, err)
	}
	target.Set(reflect.ValueOf(jid.Strict{JID: j}))
	return nil
}

// problem is why a command ends without having done what it should.
type problem struct {
	err    error
	remedy string // what to do, in lines
	code   int    // to exit with; 0 means ExitFailure
}

func (p problem) Error() string { return p.err.Error() }
func (p problem) Unwrap() error { return p.err }

// usage is a problem with the command line.
func usage(err error, remedy string) problem {
	return problem{err: err, remedy: remedy, code: ExitUsage}
}

// fail tells what went wrong, and returns the exit code.
func (t *Tool) fail(err error, asJSON bool) int {
	p := explain(err)
	if asJSON {
		t.write(struct {
			Error  string `json:"error"`
			Remedy string `json:"remedy,omitempty"`
		}{p.Error(), p.remedy})
	} else {
		for line := range strings.Lines(p.Error() + "\n" + p.remedy) {
			fmt.Fprintf(t.Stderr, "%s: %s\n", name, strings.TrimRight(line, "\n"))
		}
	}
	return max(p.code, ExitFailure)
}

// write writes a value as JSON.
func (t *Tool) write(v any) {
	enc := json.NewEncoder(t.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // no one to tell
}

// clean makes what somebody else wrote fit for a terminal: one line without control characters, of bounded length.
func clean(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// listed joins what somebody else listed, so that it fits into a line.
func listed(names []string) string {
	const most = 24
	var shown []string
	for i, n := range names {
		if i == most {
			shown = append(shown, fmt.Sprintf("and %d more", len(names)-most))
			break
		}
		shown = append(shown, clean(n))
	}
	return strings.Join(shown, ", ")
}
