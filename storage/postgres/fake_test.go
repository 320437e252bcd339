package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// fake is a server that speaks Postgres' protocol and has no database: what it answers is up to the test.
type fake struct {
	addr string
	// connect is asked for each new connection with the parameters of its start; an error response refuses it.
	connect func(params map[string]string) *pgproto3.ErrorResponse
	// answer is asked for each statement, in lower case. nil is a success without rows.
	answer func(statement string) *reply

	// shared makes all connections one session, and forgetful none, as far as settings go.
	shared, forgetful bool

	mu   sync.Mutex
	seen []string // statements, in lower case
	mark string   // what was set last, in any session
}

// reply is an answer. All values are text.
type reply struct {
	columns []string
	row     []string // nil: none
	code    string   // the SQLSTATE of an error
	fatal   bool     // the connection ends with it
	hangUp  bool     // the connection ends without a word
	silent  bool     // nothing is said any more
}

func newFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				f.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		conns.Wait()
	})
	return f
}

func (f *fake) dsn() string {
	return "postgres://gateway:geheim@" + f.addr + "/postern?sslmode=disable"
}

// count tells how often a statement was seen that begins like this.
func (f *fake) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.seen {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

func refusal08(code, message string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message}
}

func (f *fake) start(conn net.Conn, b *pgproto3.Backend) (map[string]string, bool) {
	for {
		m, err := b.ReceiveStartupMessage()
		if err != nil {
			return nil, false
		}
		switch m := m.(type) {
		case *pgproto3.StartupMessage:
			return m.Parameters, true
		case *pgproto3.SSLRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return nil, false
			}
		default:
			return nil, false
		}
	}
}

func (f *fake) serve(conn net.Conn) {
	b := pgproto3.NewBackend(conn, conn)
	params, ok := f.start(conn, b)
	if !ok {
		return
	}
	if f.connect != nil {
		if refused := f.connect(params); refused != nil {
			b.Send(refused)
			_ = b.Flush()
			return
		}
	}
	b.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"} {
		b.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	s := &fakeSession{fake: f, b: b, status: 'I', prepared: make(map[string]string)}
	s.ready()
	for b.Flush() == nil {
		m, err := b.Receive()
		if err != nil {
			return
		}
		err = s.handle(m)
		switch {
		case errors.Is(err, errSilent): // until the client gives up
			for {
				m, err := b.Receive()
				if _, over := m.(*pgproto3.Terminate); over || err != nil {
					return
				}
			}
		case err != nil:
			_ = b.Flush()
			return
		}
	}
}

// fakeSession is a connection's state.
type fakeSession struct {
	fake     *fake
	b        *pgproto3.Backend
	status   byte
	prepared map[string]string
	bound    string
	args     [][]byte
	mark     string
	failed   bool // until the next Sync
}

var (
	errSilent   = errors.New("silent")
	placeholder = regexp.MustCompile(`\$(\d+)`)
)

func (s *fakeSession) ready() { s.b.Send(&pgproto3.ReadyForQuery{TxStatus: s.status}) }

func (s *fakeSession) handle(m pgproto3.FrontendMessage) error {
	if _, sync := m.(*pgproto3.Sync); s.failed && !sync {
		return nil
	}
	switch m := m.(type) {
	case *pgproto3.Query:
		if err := s.run(m.String, true); err != nil {
			return err
		}
		s.failed = false
		s.ready()
	case *pgproto3.Parse:
		s.prepared[m.Name] = m.Query
		s.b.Send(&pgproto3.ParseComplete{})
	case *pgproto3.Describe:
		s.describe(m)
	case *pgproto3.Bind:
		s.bound, s.args = s.prepared[m.PreparedStatement], m.Parameters
		s.b.Send(&pgproto3.BindComplete{})
	case *pgproto3.Execute:
		return s.run(s.bound, false)
	case *pgproto3.Sync:
		s.failed = false
		s.ready()
	case *pgproto3.Terminate:
		return io.EOF
	}
	return nil
}

func (s *fakeSession) reply(statement string) *reply {
	switch {
	case statement == "show transaction_read_only":
		return &reply{columns: []string{"transaction_read_only"}, row: []string{"off"}}
	case strings.Contains(statement, "getdatabaseencoding"):
		return &reply{columns: []string{"encoding"}, row: []string{"UTF8"}}
	case strings.Contains(statement, "current_setting('postern.session'"):
		return &reply{columns: []string{"mark"}, row: []string{s.marked()}}
	}
	return nil
}

// marked is what this session believes that it was told.
func (s *fakeSession) marked() string {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	switch {
	case s.fake.forgetful:
		return ""
	case s.fake.shared:
		return s.fake.mark
	}
	return s.mark
}

func (s *fakeSession) describe(m *pgproto3.Describe) {
	statement := s.bound
	if m.ObjectType == 'S' {
		statement = s.prepared[m.Name]
		most := 0
		for _, p := range placeholder.FindAllStringSubmatch(statement, -1) {
			if n, err := strconv.Atoi(p[1]); err == nil {
				most = max(most, n)
			}
		}
		oids := make([]uint32, most)
		for i := range oids {
			oids[i] = 25
		}
		s.b.Send(&pgproto3.ParameterDescription{ParameterOIDs: oids})
	}
	if r := s.reply(clean(statement)); r != nil && r.columns != nil {
		s.columns(r)
		return
	}
	s.b.Send(&pgproto3.NoData{})
}

func (s *fakeSession) columns(r *reply) {
	var d pgproto3.RowDescription
	for _, c := range r.columns {
		d.Fields = append(d.Fields, pgproto3.FieldDescription{Name: []byte(c), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	s.b.Send(&d)
}

// clean is a statement without sqlc's remarks.
func clean(statement string) string {
	var lines []string
	for line := range strings.Lines(strings.ToLower(statement)) {
		if !strings.HasPrefix(line, "--") {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, ""))
}

func (s *fakeSession) run(statement string, simple bool) error {
	statement = clean(statement)
	s.fake.mu.Lock()
	s.fake.seen = append(s.fake.seen, statement)
	if strings.HasPrefix(statement, "select set_config('postern.session'") {
		s.mark = string(s.args[0])
		s.fake.mark = s.mark
	}
	s.fake.mu.Unlock()
	r := s.reply(statement)
	if s.fake.answer != nil {
		if own := s.fake.answer(statement); own != nil {
			r = own
		}
	}
	if r == nil {
		r = &reply{}
	}
	switch {
	case r.hangUp:
		return io.EOF
	case r.silent:
		return errSilent
	case r.code != "":
		severity := "ERROR"
		if r.fatal {
			severity = "FATAL"
		}
		s.b.Send(&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: r.code, Message: "as the test has it"})
		s.failed = true
		if s.status == 'T' {
			s.status = 'E'
		}
		if r.fatal {
			return io.EOF
		}
		return nil
	}
	if r.columns != nil && simple {
		s.columns(r)
	}
	if r.row != nil {
		var row pgproto3.DataRow
		for _, v := range r.row {
			row.Values = append(row.Values, []byte(v))
		}
		s.b.Send(&row)
	}
	word, _, _ := strings.Cut(statement, " ")
	tag := strings.ToUpper(word)
	switch word {
	case "begin":
		s.status = 'T'
	case "commit":
		if s.status == 'E' {
			tag = "ROLLBACK"
		}
		s.status = 'I'
	case "rollback":
		s.status = 'I'
	}
	s.b.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return nil
}
