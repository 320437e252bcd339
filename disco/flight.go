package disco

import "sync"

// flights sees to it that the same is asked once at a time.
type flights struct {
	mu   sync.Mutex
	open map[key]chan struct{}
}

// join returns mine where nobody asks for k: then the caller does, and leaves. Otherwise done is closed when the one who asks
// has left.
func (f *flights) join(k key) (done <-chan struct{}, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch := f.open[k]; ch != nil { // guard: SEC-65
		return ch, false
	}
	if f.open == nil {
		f.open = make(map[key]chan struct{})
	}
	f.open[k] = make(chan struct{})
	return nil, true
}

func (f *flights) leave(k key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.open[k])
	delete(f.open, k)
}
