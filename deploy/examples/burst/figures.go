package main

import (
	"encoding/json"
	"log"
	"net/http"
	"runtime"
	"time"
)

// figures is what the program knows of itself at one instant, under the names
// that package runtime has for them.
type figures struct {
	Time         time.Time
	Event        string
	Version      string
	NumGoroutine int
	GOMAXPROCS   int
	Alloc        uint64
	TotalAlloc   uint64
	Mallocs      uint64
	Frees        uint64
	HeapObjects  uint64
	NextGC       uint64
	LastGC       uint64
	PauseTotalNs uint64
	NumGC        uint32
	NumForcedGC  uint32
}

// figuresOf takes the number of goroutines first, as close to the event as it
// gets: ReadMemStats stops the world.
func figuresOf(event string) figures {
	now, goroutines := time.Now(), runtime.NumGoroutine()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return figures{
		Time:         now,
		Event:        event,
		Version:      runtime.Version(),
		NumGoroutine: goroutines,
		GOMAXPROCS:   runtime.GOMAXPROCS(0),
		Alloc:        m.Alloc,
		TotalAlloc:   m.TotalAlloc,
		Mallocs:      m.Mallocs,
		Frees:        m.Frees,
		HeapObjects:  m.HeapObjects,
		NextGC:       m.NextGC,
		LastGC:       m.LastGC,
		PauseTotalNs: m.PauseTotalNs,
		NumGC:        m.NumGC,
		NumForcedGC:  m.NumForcedGC,
	}
}

// write logs the figures as one line of JSON and returns it.
func write(f figures) []byte {
	line, err := json.Marshal(f)
	if err != nil {
		log.Fatalf("burst: cannot write its figures as JSON: %v", err)
	}
	log.Printf("%s", line)
	return append(line, '\n')
}

func answer(w http.ResponseWriter, line []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(line)
}
