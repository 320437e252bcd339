package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// target returns the network, host and port of the server. The host is empty for a socket of this machine.
func (e *examination) target() (network, host, addr string) {
	if path, ok := strings.CutPrefix(e.cfg.Component.Addr, "unix:"); ok {
		return "unix", "", path
	}
	host, _, _ = net.SplitHostPort(e.cfg.Component.Addr) // component.New has checked it, or will
	return "tcp", host, e.cfg.Component.Addr
}

// name resolves the server's name.
func (e *examination) name(ctx context.Context) bool {
	_, host, _ := e.target()
	if host == "" || net.ParseIP(host) != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		e.add(Finding{
			Step: StepName, Verdict: Fail, Summary: fmt.Sprintf("%s cannot be resolved: %s", host, DNSReason(err)),
			Remedy: "component.address must name the machine on which the server listens for components. For a server on this machine\n" +
				"that is 127.0.0.1; in a compose file it is the name of the server's service.",
		})
		return false
	}
	e.add(Finding{Step: StepName, Verdict: OK, Summary: fmt.Sprintf("%s is %s", host, strings.Join(addrs, ", "))})
	return true
}

// DNSReason says in a few words why DNS gave no answer. No error at all is an answer without records.
func DNSReason(err error) string {
	var de *net.DNSError
	switch {
	case err == nil:
		return "there is no such record"
	case !errors.As(err, &de):
		return err.Error()
	case de.IsNotFound:
		return "there is no such name"
	case de.IsTimeout:
		return "the name server does not answer"
	}
	return de.Err
}

// port connects.
func (e *examination) port(ctx context.Context) bool {
	network, _, addr := e.target()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		_ = conn.Close() // it was only to see that it opens
		e.add(Finding{Step: StepPort, Verdict: OK, Summary: addr + " takes connections"})
		return true
	}
	f := Finding{Step: StepPort, Verdict: Fail}
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Summary = "nothing listens on " + addr
		f.Remedy = "Start the server, and have it listen for components there.\n\n" + e.listen()
	case errors.As(err, &ne) && ne.Timeout():
		f.Summary = fmt.Sprintf("%s does not answer within %v", addr, e.cfg.Timeout)
		f.Remedy = "Something swallows the packets, such as a firewall between this machine and the server, or the address is wrong."
	case network == "unix" && errors.Is(err, os.ErrNotExist):
		f.Summary = "there is no socket " + addr
		f.Remedy = "Start what makes the socket, or correct component.address."
	case errors.Is(err, os.ErrPermission):
		f.Summary = "this user may not connect to " + addr
		f.Remedy = "Give the gateway's user access to the socket."
	default:
		f.Summary = fmt.Sprintf("%s cannot be reached: %v", addr, errors.Unwrap(err))
	}
	e.add(f)
	return false
}
