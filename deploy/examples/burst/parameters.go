package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// parameters reads a request's query and remembers the first thing wrong
// with it.
type parameters struct {
	values url.Values
	err    error
}

// parse takes a query that names nothing but what is known.
func parse(r *http.Request, known ...string) *parameters {
	values, err := url.ParseQuery(r.URL.RawQuery)
	p := &parameters{values: values}
	if err != nil {
		p.err = fmt.Errorf("the query cannot be read: %v", err)
	}
	for name := range values {
		if !contains(known, name) {
			p.fail("unknown parameter %q: expected %s", name, strings.Join(known, ", "))
		}
	}
	return p
}

func contains(list []string, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}

func (p *parameters) fail(format string, args ...interface{}) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// number returns what a parameter says, or what holds without it.
func (p *parameters) number(name string, unset, least, most int) int {
	text := p.values.Get(name)
	if text == "" {
		return unset
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		p.fail("%s=%s: expected a number from %d to %d", name, text, least, most)
		return unset
	}
	return value
}

func (p *parameters) duration(name string, unset, least, most time.Duration) time.Duration {
	text := p.values.Get(name)
	if text == "" {
		return unset
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < least || value > most {
		p.fail("%s=%s: expected a duration from %s to %s, such as 250ms", name, text, least, most)
		return unset
	}
	return value
}

// refused answers a request that asks for what cannot be.
func (p *parameters) refused(w http.ResponseWriter) bool {
	if p.err == nil {
		return false
	}
	http.Error(w, p.err.Error(), http.StatusBadRequest)
	return true
}
