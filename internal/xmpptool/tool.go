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
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/client"
	"github.com/postern-im/postern/internal/cli"
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

// command is one command of the tool.
type command interface {
	// define says what the command is called, what help tells of it, and which flags and arguments it has.
	define() *cobra.Command
	// run does what the command is for and returns the exit code.
	run(ctx context.Context, t *Tool) int
}

const description = `An operator's XMPP client. xmpp COMMAND --help tells more of each command, with examples.

Exit codes: 0 done, 1 something failed, 2 wrong command line, 3 the server refuses to sign the account in.`

// Run does what the command line says and returns the exit code. It ends early when ctx does.
func (t *Tool) Run(ctx context.Context) int {
	l := cli.New(name, description)
	for _, c := range []command{new(checkCommand), new(sendCommand), new(discoCommand), new(pingCommand)} {
		l.Add("", c.define(), func(ctx context.Context) int { return c.run(ctx, t) })
	}
	if len(t.Args) == 0 {
		l.Help(t.Stdout)
		return ExitUsage
	}
	run, err := l.Parse(t.Args, t.Stdout)
	if err != nil {
		hint := ""
		var mistake *cli.UsageError
		if errors.As(err, &mistake) {
			hint = mistake.Hint()
		}
		return t.fail(usage(err, hint), false)
	}
	if run == nil { // a help was asked for
		return ExitOK
	}
	return run(ctx)
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
