// burst is a service to observe: built as services are, without any
// instrumentation. Its requests launch goroutines, leak them and allocate; and
// it logs its own figures, so that what is seen from outside can be held
// against them.
//
//	/burst?n=500&block=100ms&procs=4   n goroutines at once, each blocked so long
//	/leak?n=100                        n goroutines that stay
//	/leak/stop                         ends those
//	/alloc?mb=64&seconds=5             mb of garbage, spread over so many seconds
//	/figures                           NumGoroutine and MemStats
//	/healthz                           200
//
// Every answer is a line of JSON, and so is every line of the log.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const help = `burst: requests make goroutines and garbage.

/burst?n=500&block=100ms&procs=4   n (1 to 5000) goroutines at once, each blocked for
                                   block (1ms to 10s); procs (1 to 64) sets GOMAXPROCS
/leak?n=100                        n (1 to 5000) goroutines that stay
/leak/stop                         ends those
/alloc?mb=64&seconds=5             mb (1 to 4096) of garbage within seconds (0 to 60)
/figures                           the program's own figures
/healthz                           200
`

func main() {
	log.SetFlags(0)
	address := os.Getenv("LISTEN")
	if address == "" {
		address = ":8080"
	}
	server := &http.Server{
		Addr:              address,
		Handler:           routes(),
		ReadHeaderTimeout: 5 * time.Second,
	}
	ended, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-ended.Done()
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	}()
	write(figuresOf("start"))
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("burst: cannot serve on %s: %v; choose another address with LISTEN", address, err)
	}
	<-closed // requests in flight are answered
	write(figuresOf("end"))
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(help))
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("/figures", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, write(figuresOf("figures")))
	})
	leaked := &leak{}
	mux.HandleFunc("/burst", burst)
	mux.HandleFunc("/leak", leaked.grow)
	mux.HandleFunc("/leak/stop", leaked.stop)
	mux.HandleFunc("/alloc", alloc)
	return mux
}
