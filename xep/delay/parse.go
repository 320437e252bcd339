package delay

import (
	"strings"
	"time"
)

// parser takes a text apart. After the first character that does not fit it takes no more, and done is false.
type parser struct {
	s   string
	bad bool
}

// newParser returns a parser of s without the space around it, which XML Schema says to collapse.
func newParser(s string) *parser { return &parser{s: strings.Trim(s, " \t\r\n")} }

// done reports whether the whole text fitted.
func (p *parser) done() bool { return !p.bad && p.s == "" }

func (p *parser) fail() { p.bad = true }

// peek returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.bad || p.s == "" {
		return 0
	}
	return p.s[0]
}

func (p *parser) take(c byte) {
	if p.peek() != c {
		p.fail()
		return
	}
	p.s = p.s[1:]
}

// number takes exactly n digits and holds their value to the bounds.
func (p *parser) number(n, low, high int) int {
	v := 0
	for range n {
		c := p.peek()
		if c < '0' || c > '9' {
			p.fail()
			return low
		}
		v = v*10 + int(c-'0')
		p.s = p.s[1:]
	}
	if v < low || v > high {
		p.fail()
		return low
	}
	return v
}

// date takes CCYY-MM-DD.
func (p *parser) date() Date {
	d := Date{Year: p.number(4, 1, 9999)}
	p.take('-')
	d.Month = time.Month(p.number(2, 1, 12))
	p.take('-')
	d.Day = p.number(2, 1, 31)
	if DateOf(d.In(time.UTC)) != d { // such as 30 February
		p.fail()
	}
	return d
}

// clock is hh:mm:ss[.sss].
type clock struct {
	hour, min, sec int // 24:00:00 and a second 60 are possible
	nsec           int
}

func (c clock) sinceMidnight() time.Duration {
	return time.Duration(c.hour)*time.Hour + time.Duration(c.min)*time.Minute + time.Duration(c.sec)*time.Second + time.Duration(c.nsec)
}

func (p *parser) clock(c *clock) {
	c.hour = p.number(2, 0, 24)
	p.take(':')
	c.min = p.number(2, 0, 59)
	p.take(':')
	c.sec = p.number(2, 0, 60)
	if p.peek() == '.' {
		p.s = p.s[1:]
		c.nsec = p.fraction()
	}
	if c.hour == 24 && (c.min != 0 || c.sec != 0 || c.nsec != 0) {
		p.fail()
	}
}

// fraction takes one digit or more and returns the nanoseconds.
func (p *parser) fraction() int {
	n, unit := 0, 100_000_000
	digits := 0
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		n += int(c-'0') * unit
		unit /= 10
		digits++
		p.s = p.s[1:]
	}
	if digits == 0 {
		p.fail()
	}
	return n
}

// zone takes a Time Zone Definition, if one follows, and reports whether.
func (p *parser) zone() (offset time.Duration, ok bool) {
	sign := time.Duration(1)
	switch p.peek() {
	case 'Z':
		p.s = p.s[1:]
		return 0, true
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false
	}
	p.s = p.s[1:]
	h := p.number(2, 0, 14)
	p.take(':')
	m := p.number(2, 0, 59)
	if h == 14 && m != 0 {
		p.fail()
	}
	return sign * (time.Duration(h)*time.Hour + time.Duration(m)*time.Minute), !p.bad
}
