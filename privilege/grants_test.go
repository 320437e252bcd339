package privilege_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-im/postern/jid"
	"github.com/postern-im/postern/privilege"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
)

// TestK13_Permissions reads advertisements of the specification, of servers, and of nobody's good will.
func TestK13_Permissions(t *testing.T) {
	perms := func(s string) string { return "<privilege xmlns='urn:xmpp:privilege:2'>" + s + "</privilege>" }
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "<namespace ns='urn:n%d' type='get'/>", i)
	}
	for name, c := range map[string]struct{ xml, want string }{
		"section 4.2":                {perms("<perm access='roster' type='both' push='true'/>"), "roster both with pushes"},
		"section 5.2":                {perms("<perm access='roster' type='both' push='true'/><perm access='message' type='outgoing'/>"), "roster both with pushes, message outgoing"},
		"section 6.2":                {perms("<perm access='iq'><namespace ns='http://jabber.org/protocol/pubsub' type='set' /></perm>"), "iq set http://jabber.org/protocol/pubsub"},
		"section 7.4":                {perms("<perm access='roster' type='both' push='true'/><perm access='message' type='none'/><perm access='iq'><namespace ns='urn:p' type='set'/></perm><perm access='presence' type='roster'/>"), "roster both with pushes, presence roster, iq set urn:p"},
		"pushes by default":          {perms("<perm access='roster' type='get'/>"), "roster get with pushes"},
		"an empty push":              {perms("<perm access='roster' type='get' push=''/>"), "roster get with pushes"},
		"no pushes":                  {perms("<perm access='roster' type='both' push='false'/>"), "roster both"},
		"no pushes, as a number":     {perms("<perm access='roster' type='both' push='0'/>"), "roster both"},
		"pushes need get":            {perms("<perm access='roster' type='set' push='true'/>"), "roster set"},
		"nothing":                    {perms(""), "nothing"},
		"all of it none":             {perms("<perm access='roster' type='none'/><perm access='message' type='none'/><perm access='presence' type='none'/><perm access='iq'><namespace ns='urn:p' type='none'/></perm>"), "nothing"},
		"managed entity":             {perms("<perm access='presence' type='managed_entity'/>"), "presence managed_entity"},
		"presence of whom we read":   {perms("<perm access='presence' type='roster'/><perm access='roster' type='get'/>"), "roster get with pushes, presence roster"},
		"presence without a roster":  {perms("<perm access='presence' type='roster'/><perm access='roster' type='set'/>"), "roster set"},
		"words of no specification":  {perms("<perm access='roster' type='everything'/><perm access='message' type='incoming'/><perm access='presence' type='both'/><perm access='root' type='both'/><perm/>"), "nothing"},
		"another one's words":        {perms("<perm access='message' type='both'/><perm access='roster' type='outgoing'/>"), "nothing"},
		"the first counts":           {perms("<perm access='message' type='none'/><perm access='message' type='outgoing'/><perm access='iq'><namespace ns='urn:p' type='none'/><namespace ns='urn:p' type='both'/></perm>"), "nothing"},
		"several elements for IQs":   {perms("<perm access='iq'><namespace ns='urn:p' type='get'/></perm><perm access='iq'><namespace ns='urn:q' type='both'/></perm>"), "iq get urn:p, iq both urn:q"},
		"a namespace without a name": {perms("<perm access='iq'><namespace type='both'/><namespace ns='' type='both'/></perm>"), "nothing"},
		"a long namespace":           {perms("<perm access='iq'><namespace ns='urn:" + strings.Repeat("x", 2000) + "' type='both'/></perm>"), "nothing"},
		"elements of others":         {perms("<perm xmlns='urn:other' access='message' type='outgoing'/><x><perm access='message' type='outgoing'/></x>"), "nothing"},
		"text, as it once was":       {perms("<perm access='iq' type='both'><namespace>urn:p</namespace></perm>"), "nothing"},
		"version 0.3":                {"<privilege xmlns='urn:xmpp:privilege:1'><perm access='roster' type='both' push='true'/><perm access='iq'><namespace ns='urn:p' type='both'/></perm></privilege>", "roster both"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, offline{}, privilege.Config{})
			s.receive(t.Context(), advert("localhost", grantAll))
			s.receive(t.Context(), advert("localhost", c.xml))
			if got := s.granted("localhost"); got != c.want {
				t.Errorf("granted %s\nwant    %s", got, c.want)
			}
		})
	}
	t.Run("many namespaces", func(t *testing.T) {
		s := newStream(t, offline{}, privilege.Config{})
		s.receive(t.Context(), advert("localhost", perms("<perm access='iq'>"+many.String()+"</perm>")))
		if n := len(s.m.Grants()[0].Permissions.IQ); n != 1000 {
			t.Errorf("%d namespaces", n)
		}
	})
}

func TestK13_Allows(t *testing.T) {
	all := privilege.Permissions{
		Roster: privilege.AccessGet, Message: privilege.MessageOutgoing, Presence: privilege.PresenceRoster,
		IQ: map[string]privilege.Access{"urn:p": privilege.AccessSet, "urn:q": privilege.AccessBoth},
	}
	for _, c := range []struct {
		need privilege.Need
		want bool
	}{
		{privilege.Need{Access: "roster", Type: "get"}, true},
		{privilege.Need{Access: "roster", Type: "set"}, false},
		{privilege.Need{Access: "roster", Type: "both"}, false},
		{privilege.Need{Access: "roster"}, false},
		{privilege.Need{Access: "message", Type: "outgoing"}, true},
		{privilege.Need{Access: "message"}, false},
		{privilege.Need{Access: "iq", Type: "set", Namespace: "urn:p"}, true},
		{privilege.Need{Access: "iq", Type: "get", Namespace: "urn:p"}, false},
		{privilege.Need{Access: "iq", Type: "both", Namespace: "urn:q"}, true},
		{privilege.Need{Access: "iq", Type: "get", Namespace: "urn:other"}, false},
		{privilege.Need{Access: "iq", Namespace: "urn:other"}, false},
		{privilege.Need{Access: "presence", Type: "managed_entity"}, true},
		{privilege.Need{Access: "presence", Type: "roster"}, true},
		{privilege.Need{Access: "presence"}, false},
		{privilege.Need{Access: "pubsub", Type: "get"}, false},
		{privilege.Need{}, false},
	} {
		if got := all.Allows(c.need); got != c.want {
			t.Errorf("%s: %v", c.need, got)
		}
		if (privilege.Permissions{}).Allows(c.need) {
			t.Errorf("%s by nothing", c.need)
		}
	}
}

// TestK14_Replaced holds that each advertisement is the whole of what a server grants, and that observers are told, each as long
// as they want to be.
func TestK14_Replaced(t *testing.T) {
	s := newStream(t, offline{}, privilege.Config{})
	var changes []string
	stop := s.m.OnGrants(func(context.Context, privilege.GrantChange) { panic("an observer of bad manners") })
	s.m.OnGrants(func(_ context.Context, c privilege.GrantChange) {
		changes = append(changes, fmt.Sprintf("%s: %s, %s -> %s", c.Server, c.Cause, c.Before, c.After))
	})
	session, end := context.WithCancel(t.Context())
	s.receive(session, advert("localhost", grantAll))
	stop()
	s.receive(session, advert("localhost", grantPing))
	s.receive(session, advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'/>"))
	end()
	s.m.Stream(false)
	want := []string{
		"localhost: advertised, nothing -> roster both with pushes, message outgoing",
		"localhost: advertised, roster both with pushes, message outgoing -> iq get urn:xmpp:ping",
		"localhost: advertised, iq get urn:xmpp:ping -> nothing",
		"localhost: stream ended, nothing -> nothing",
	}
	if got := strings.Join(changes, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("changes:\n%s", got)
	}
}

// TestK14_EndOfSessionIsSeen has nobody tell the manager of streams.
func TestK14_EndOfSessionIsSeen(t *testing.T) {
	s := newStream(t, offline{}, privilege.Config{})
	ended := make(chan privilege.GrantChange, 1)
	s.m.OnGrants(func(_ context.Context, c privilege.GrantChange) {
		if c.Cause == privilege.CauseStreamEnded {
			ended <- c
		}
	})
	session, end := context.WithCancel(t.Context())
	s.receive(session, advert("localhost", grantAll))
	end()
	if c := <-ended; c.Before.Message != privilege.MessageOutgoing || c.Server.String() != "localhost" {
		t.Errorf("%+v", c)
	}
	if got := s.granted("localhost"); got != "unknown" {
		t.Errorf("granted %s", got)
	}
}

// TestWaitingForGrants holds how patient calls are, by a clock of the test's own.
func TestWaitingForGrants(t *testing.T) {
	type call struct {
		err  error
		took time.Duration
	}
	run := func(t *testing.T, cfg privilege.Config, before, during func(s *stream)) call {
		t.Helper()
		var got call
		synctest.Test(t, func(t *testing.T) {
			s := newStream(t, offline{func(iq *stanza.IQ) (*stanza.IQ, error) {
				return iq.Result(element(t, "<query xmlns='jabber:iq:roster'/>")), nil
			}}, cfg)
			if before != nil {
				before(s)
			}
			u, err := s.m.Impersonate(jid.MustParse("juliet@localhost"), "a test")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				start := time.Now()
				_, got.err = u.Roster(t.Context())
				got.took = time.Since(start)
			})
			if during != nil {
				during(s)
			}
			wg.Wait()
		})
		return got
	}
	patient := privilege.Config{GrantWait: 2 * time.Second}
	grantsAfter := func(d time.Duration) func(*stream) {
		return func(s *stream) {
			<-time.After(d)
			s.receive(s.t.Context(), advert("localhost", grantAll))
		}
	}
	for name, c := range map[string]struct {
		cfg            privilege.Config
		before, during func(*stream)
		unknown        bool
		took           time.Duration
	}{
		"the server speaks in time":       {patient, func(s *stream) { s.m.Stream(true) }, grantsAfter(time.Second), false, time.Second},
		"it does not":                     {patient, func(s *stream) { s.m.Stream(true) }, nil, true, 2 * time.Second},
		"the stream is not new":           {patient, func(s *stream) { s.m.Stream(true); <-time.After(1500 * time.Millisecond) }, nil, true, 500 * time.Millisecond},
		"the stream is old":               {patient, func(s *stream) { s.m.Stream(true); <-time.After(time.Hour) }, nil, true, 0},
		"there is no stream":              {patient, func(s *stream) { s.m.Stream(false) }, nil, true, 0},
		"nobody tells of streams":         {patient, nil, grantsAfter(time.Second), false, time.Second},
		"nobody tells, nor does a server": {patient, nil, nil, true, 2 * time.Second},
		"no patience":                     {privilege.Config{GrantWait: -1}, nil, nil, true, 0},
		"no time":                         {privilege.Config{GrantWait: 2 * time.Second, Timeout: time.Second}, nil, nil, false, time.Second},
		"the stream ends meanwhile":       {patient, func(s *stream) { s.m.Stream(true) }, func(s *stream) { <-time.After(time.Second); s.m.Stream(false) }, true, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, c.cfg, c.before, c.during)
			var e *privilege.GrantError
			switch {
			case name == "no time":
				if !errors.Is(got.err, context.DeadlineExceeded) {
					t.Errorf("error %v", got.err)
				}
			case c.unknown:
				known, _ := stanza.AsError(got.err)
				if !errors.Is(got.err, privilege.ErrGrantUnknown) || errors.Is(got.err, privilege.ErrGrantMissing) || !errors.As(got.err, &e) || !e.Unknown || known.Type != stanza.ErrorWait {
					t.Errorf("error %v", got.err)
				}
			case got.err != nil:
				t.Error(got.err)
			}
			if got.took != c.took {
				t.Errorf("it took %v", got.took)
			}
		})
	}
}

func TestGrantErrors(t *testing.T) {
	s := newStream(t, offline{}, privilege.Config{})
	s.receive(t.Context(), advert("localhost", grantPing))
	u, err := s.m.Impersonate(jid.MustParse("juliet@localhost"), "a test")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Roster(t.Context())
	var e *privilege.GrantError
	if !errors.As(err, &e) || !errors.Is(err, privilege.ErrGrantMissing) || errors.Is(err, privilege.ErrGrantUnknown) || e.Server.String() != "localhost" {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{
		"localhost does not grant roster get", `VirtualHost "localhost"`, `privileged_entities = { ["gateway.localhost"] = { roster = "get" } }`,
		"mod_privilege of localhost", "roster: {get: RULE}", "gateway.localhost",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
	// What the user is told is an error of a service that cannot, with no word of the configuration.
	said, known := stanza.AsError(err)
	if !known || said.Condition != stanza.NotAllowed || strings.Contains(said.Error(), "privileged_entities") {
		t.Errorf("the user is told %v", said)
	}
	_, err = u.Request(t.Context(), &stanza.IQ{Type: stanza.IQSet, Payload: element(t, "<ping xmlns='urn:xmpp:ping'/>")})
	if !strings.Contains(err.Error(), `iq = { ["urn:xmpp:ping"] = "set" }`) || !strings.Contains(err.Error(), `iq: {"urn:xmpp:ping": {set: RULE}}`) {
		t.Errorf("error %v", err)
	}
	if st := s.m.Stats(); st.Missing != 2 || st.Unknown != 0 {
		t.Errorf("%+v", st)
	}
}

func TestNewRefuses(t *testing.T) {
	gw, server := jid.MustParse("gateway.localhost"), jid.MustParse("localhost")
	for name, cfg := range map[string]privilege.Config{
		"no domain":           {Servers: []jid.JID{server}},
		"a user as domain":    {JID: jid.MustParse("a@b"), Servers: []jid.JID{server}},
		"no server":           {JID: gw},
		"a user as server":    {JID: gw, Servers: []jid.JID{jid.MustParse("a@localhost")}},
		"ourselves as server": {JID: gw, Servers: []jid.JID{gw}},
	} {
		if _, err := privilege.New(cfg, offline{}, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func (r *records) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.added)
}

// records keeps what was granted, and fails at first.
type records struct {
	storage.Grants
	mu    sync.Mutex
	fail  int
	added []string
}

func (r *records) AddGrant(_ context.Context, server jid.JID, kind storage.GrantKind, data []byte) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		return false, storage.ErrUnavailable
	}
	r.added = append(r.added, fmt.Sprintf("%s %s %s", server, kind, data))
	return true, nil
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &records{fail: 1}
		s := newStream(t, offline{}, privilege.Config{Grants: r})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.m.Serve(ctx) }()
		synctest.Wait()
		s.receive(t.Context(), advert("localhost", grantPing))
		if s.granted("localhost") != "iq get urn:xmpp:ping" {
			t.Error("what cannot be recorded is granted all the same")
		}
		synctest.Wait()
		if got := r.all(); len(got) != 0 {
			t.Errorf("recorded %q", got)
		}
		<-time.After(2 * time.Minute)
		s.receive(t.Context(), advert("localhost", "<privilege xmlns='urn:xmpp:privilege:2'><perm access='iq'><namespace ns='urn:"+strings.Repeat("x", 70_000)+"' type='get'/></perm></privilege>"))
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := r.all(); len(got) != 1 || !strings.HasPrefix(got[0], "localhost privilege <privilege xmlns='urn:xmpp:privilege:2'><perm access='iq'>") {
			t.Errorf("recorded %q", got)
		}
	})
	s := newStream(t, offline{}, privilege.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.m.Serve(ctx); err != nil {
		t.Error(err)
	}
}

// FuzzPrivilege gives the parsers of advertisements and answers whatever a server, or somebody in its place, may send.
func FuzzPrivilege(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no captures: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "<iq") || strings.HasPrefix(line, "<message") || strings.HasPrefix(line, "<presence") {
				f.Add(line)
			}
		}
	}
	f.Add(advert("localhost", grantAll))
	f.Add(answerTo("result", "1", "juliet@localhost", "result", "2", "", ""))
	f.Fuzz(func(t *testing.T, xml string) {
		in, err := stanzas(xml)
		if err != nil {
			return
		}
		s := newStream(t, offline{}, privilege.Config{})
		session := t.Context()
		s.r.HandleStanzas(session, offline{}, in)
		if err := s.r.Drain(session); err != nil {
			t.Fatal(err)
		}
		if n := s.r.Stats().Panics; n != 0 {
			t.Errorf("%d panics", n)
		}
		for _, g := range s.m.Grants() {
			if len(g.Permissions.IQ) > 1000 || g.Permissions.Push && !g.Permissions.Roster.Get() ||
				g.Permissions.Presence == privilege.PresenceRoster && !g.Permissions.Roster.Get() {
				t.Errorf("granted %+v", g)
			}
		}
	})
}
