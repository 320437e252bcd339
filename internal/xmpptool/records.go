package xmpptool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-im/postern/internal/doctor"
)

// servers returns where the domain's servers are, by SRV records of both kinds (RFC 6120 section 3.2, XEP-0368).
func (e *examination) servers(ctx context.Context) []server {
	const most = 8
	if e.c.Server != "" {
		e.add(stepSRV, doctor.Skip, "DNS is not asked: --server says where the server is", "")
		host, port, _ := net.SplitHostPort(e.c.Server) // reach.check has looked at it
		return []server{{host, port, e.c.DirectTLS}}
	}
	if _, err := netip.ParseAddr(e.name); err == nil {
		return []server{{host: e.name, port: "5222"}}
	}
	start, denied := e.records(ctx, "xmpp-client")
	direct, deniedToo := e.records(ctx, "xmpps-client")
	all := make([]server, 0, len(start)+len(direct))
	for _, r := range start {
		all = append(all, server{host: r.host, port: r.port})
	}
	for _, r := range direct {
		all = append(all, server{host: r.host, port: r.port, direct: true})
	}
	switch {
	case len(all) == 0 && (denied || deniedToo):
		e.add(stepSRV, doctor.Fail, e.name+" says that it has no XMPP service for clients", "Its SRV records have no other target than \".\", so that no client looks further.")
	case len(all) == 0:
		return []server{{host: e.name, port: "5222"}} // where clients look then
	}
	if len(all) > most {
		e.add(stepSRV, doctor.Warn, fmt.Sprintf("%d servers, of which %d are examined", len(all), most), "")
		all = all[:most]
	}
	return all
}

// record is a server that DNS names.
type record struct{ host, port string }

// records asks for the records of one kind. denied means that the domain says it has no such service.
func (e *examination) records(ctx context.Context, service string) (list []record, denied bool) {
	ctx, cancel := context.WithTimeout(ctx, e.c.Timeout)
	defer cancel()
	owner := "_" + service + "._tcp." + e.name
	_, found, err := e.t.Resolver.LookupSRV(ctx, service, "tcp", e.name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound, err == nil && len(found) == 0:
		e.add(stepSRV, doctor.Warn, owner+" has no records", e.zone(service))
		return nil, false
	case err != nil && len(found) == 0: // with some, others were left out as malformed
		e.add(stepSRV, doctor.Fail, fmt.Sprintf("%s cannot be asked for: %s", owner, doctor.DNSReason(err)),
			"Clients take this for no records at all. See to the domain's name servers.")
		return nil, false
	}
	var texts []string
	for _, r := range found {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" {
			denied = true
			continue
		}
		port := strconv.Itoa(int(r.Port))
		list = append(list, record{host, port})
		texts = append(texts, fmt.Sprintf("%d %d %s", r.Priority, r.Weight, net.JoinHostPort(host, port)))
	}
	switch {
	case len(list) > 0:
		e.add(stepSRV, doctor.OK, fmt.Sprintf("%s: %s", owner, listed(texts)), "")
	case denied && service == "xmpps-client":
		e.add(stepSRV, doctor.OK, owner+" says that there is no such service", "")
	default:
		e.add(stepSRV, doctor.Warn, owner+" says that there is no such service (its target is \".\")",
			"If there is one, name its server:\n\n"+e.lines(service))
	}
	return list, denied
}

// zone is what to do about records that are missing.
func (e *examination) zone(service string) string {
	why := "Clients then try port 5222 of the domain itself. Where the server has another name or port, they need:"
	if service == "xmpps-client" {
		why = "TLS from the first byte on passes more firewalls, and tells nobody in between the domain in the clear (XEP-0368).\n" +
			"Where the server listens for it, on 5223 as a rule, tell clients:"
	}
	return why + "\n\n" + e.lines(service)
}

func (e *examination) lines(service string) string {
	port := 5222
	if service == "xmpps-client" {
		port = 5223
	}
	return fmt.Sprintf("    _%s._tcp.%s. 86400 IN SRV 5 0 %d %s.\n", service, e.name, port, e.name)
}
