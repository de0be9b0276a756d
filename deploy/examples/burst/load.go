package main

import (
	"net/http"
	"runtime"
	"sync"
	"time"
)

// burst launches goroutines that block, and answers when all have ended. The
// log tells when all were there and when all were gone.
func burst(w http.ResponseWriter, r *http.Request) {
	p := parse(r, "n", "block", "procs")
	n := p.number("n", 500, 1, 5000)
	block := p.duration("block", 100*time.Millisecond, time.Millisecond, 10*time.Second)
	procs := p.number("procs", 0, 1, 64)
	if p.refused(w) {
		return
	}
	// Setting it stops the world, so only where it changes.
	if procs > 0 && procs != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(procs)
	}
	var launched, done sync.WaitGroup
	launched.Add(n)
	done.Add(n)
	release := make(chan struct{})
	for i := 0; i < n; i++ {
		go func() {
			defer done.Done()
			launched.Done()
			<-release
		}()
	}
	launched.Wait()
	write(figuresOf("burst"))
	// One timer: all block for the same time, and end at the same instant.
	time.AfterFunc(block, func() { close(release) })
	done.Wait()
	answer(w, write(figuresOf("burst ended")))
}

// leak holds goroutines that nobody waits for.
type leak struct {
	mutex   sync.Mutex
	release chan struct{}
	done    *sync.WaitGroup
}

func (l *leak) grow(w http.ResponseWriter, r *http.Request) {
	p := parse(r, "n")
	n := p.number("n", 100, 1, 5000)
	if p.refused(w) {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.release == nil {
		l.release, l.done = make(chan struct{}), &sync.WaitGroup{}
	}
	var launched sync.WaitGroup
	launched.Add(n)
	l.done.Add(n)
	for i := 0; i < n; i++ {
		go leaked(&launched, l.done, l.release)
	}
	launched.Wait()
	answer(w, write(figuresOf("leak")))
}

func leaked(launched, done *sync.WaitGroup, release <-chan struct{}) {
	defer done.Done()
	launched.Done()
	<-release
}

func (l *leak) stop(w http.ResponseWriter, r *http.Request) {
	if parse(r).refused(w) {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.release != nil {
		close(l.release)
		l.done.Wait()
		l.release, l.done = nil, nil
	}
	answer(w, write(figuresOf("leak stopped")))
}

// kept makes what alloc allocates escape to the heap.
var kept []byte
var keeping sync.Mutex

// alloc makes garbage in pieces of 64 KiB.
func alloc(w http.ResponseWriter, r *http.Request) {
	const piece = 64 << 10
	p := parse(r, "mb", "seconds")
	mb := p.number("mb", 64, 1, 4096)
	seconds := p.number("seconds", 0, 0, 60)
	if p.refused(w) {
		return
	}
	pieces := mb << 20 / piece
	began := time.Now()
	for i := 0; i < pieces; i++ {
		keeping.Lock()
		kept = make([]byte, piece)
		keeping.Unlock()
		due := time.Duration(seconds) * time.Second / time.Duration(pieces) * time.Duration(i+1)
		if ahead := due - time.Since(began); ahead > time.Millisecond {
			select {
			case <-time.After(ahead):
			case <-r.Context().Done():
				return
			}
		}
	}
	answer(w, write(figuresOf("alloc")))
}
