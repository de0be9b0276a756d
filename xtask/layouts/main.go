// Command layouts reads where fields of Go's runtime lie in each release from
// the DWARF of a program that release builds, and writes one compact table.
//
//	go run main.go -fixture fixture/main.go -work DIR -out FILE VERSION=GOROOT...
package main

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// What is read, as TYPE.FIELD; `a|b` are the names one field had over time.
var wanted = strings.Fields(`
schedt.goidgen schedt.nmidle schedt.mnext schedt.maxmcount schedt.nmsys schedt.nmfreed
schedt.ngsys schedt.npidle schedt.nmspinning schedt.runqsize|runq.size schedt.gFree
schedt.gFree.n schedt.gFree.stack.size schedt.gFree.noStack.size schedt.gcwaiting schedt.stopwait
schedt.timeToRun schedt.stwStoppingTimeGC schedt.stwStoppingTimeOther
schedt.stwTotalTimeGC schedt.stwTotalTimeOther schedt.totalMutexWaitTime
schedt.totalRuntimeLockWaitTime schedt.goroutinesCreated
p.id p.status p.schedtick p.syscalltick p.m p.mcache p.goidcache p.goidcacheend
p.runqhead p.runqtail p.runnext p.gFree.n p.gFree.size p.goroutinesCreated
mcache.alloc mcache.tinyAllocs
mspan.nelems mspan.allocCount mspan.allocCountBeforeCache mspan.elemsize mspan.spanclass
g.atomicstatus g.goid g.waitsince g.waitreason g.gopc g.startpc g.m
m.curg m.lockedg m.alllink m.mLockProfile.waitTime
gcControllerState.gcPercent gcControllerState.memoryLimit gcControllerState.heapMinimum
gcControllerState.heapGoal gcControllerState.gcPercentHeapGoal
gcControllerState.sweepDistMinTrigger gcControllerState.triggered
gcControllerState.lastHeapGoal gcControllerState.heapLive gcControllerState.heapMarked
gcControllerState.heapInUse gcControllerState.heapReleased gcControllerState.heapFree
gcControllerState.totalAlloc gcControllerState.totalFree gcControllerState.mappedReady
gcControllerState.trigger gcControllerState.triggerRatio gcControllerState.heapScan
gcControllerState.assistTime gcControllerState.dedicatedMarkTime
gcControllerState.fractionalMarkTime gcControllerState.idleMarkTime gcControllerState.markStartTime
mstats.heapStats mstats.last_gc_unix mstats.last_gc_nanotime mstats.pause_total_ns
mstats.pause_ns mstats.pause_end mstats.numgc mstats.numforcedgc mstats.gc_cpu_fraction
mstats.gcPauseDist mstats.stacks_sys mstats.buckhash_sys mstats.gcMiscSys mstats.other_sys
consistentHeapStats.stats consistentHeapStats.gen
heapStatsDelta.inHeap heapStatsDelta.inStacks heapStatsDelta.tinyAllocCount
heapStatsDelta.largeAlloc heapStatsDelta.largeAllocCount heapStatsDelta.smallAllocCount
heapStatsDelta.largeFree heapStatsDelta.largeFreeCount heapStatsDelta.smallFreeCount
workType.cpuStats workType.cycles
cpuStats.GCAssistTime|gcAssistTime cpuStats.GCDedicatedTime|gcDedicatedTime
cpuStats.GCIdleTime|gcIdleTime cpuStats.GCPauseTime|gcPauseTime
cpuStats.GCTotalTime|gcTotalTime cpuStats.ScavengeAssistTime|scavengeAssistTime
cpuStats.ScavengeBgTime|scavengeBgTime cpuStats.ScavengeTotalTime|scavengeTotalTime
cpuStats.IdleTime|idleTime cpuStats.UserTime|userTime cpuStats.TotalTime|totalTime
timeHistogram.counts timeHistogram.underflow timeHistogram.overflow
`)

// Whole types whose size is needed.
var sizes = strings.Fields(`schedt p m g mcache mspan gcControllerState mstats workType cpuStats
timeHistogram heapStatsDelta consistentHeapStats`)

type release struct {
	name         string // 1.22.12
	minor, patch int
	root         string
}

var arches = []string{"amd64", "arm64"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("layouts: ")
	fixture := flag.String("fixture", "", "program to build")
	work := flag.String("work", "", "directory for what is built")
	out := flag.String("out", "", "table to write")
	flag.Parse()
	releases := parseReleases(flag.Args())

	// table[row][release] = value; a row is there for every release or absent ("-").
	table := map[string]map[string]string{}
	put := func(row string, r release, value string) {
		if table[row] == nil {
			table[row] = map[string]string{}
		}
		table[row][r.name] = value
	}
	for _, r := range releases {
		for _, arch := range arches {
			binary := build(r, arch, *fixture, *work)
			for field, value := range readDWARF(binary) {
				put("field\t"+arch+"\t"+field, r, value)
			}
			if err := os.Remove(binary); err != nil {
				log.Fatal(err)
			}
		}
		put("sizeclasses", r, sizeClasses(r))
		put("waitreasons", r, waitReasons(r))
	}
	fold(table)
	if err := os.WriteFile(*out, encode(table, releases), 0o644); err != nil {
		log.Fatal(err)
	}
}

func parseReleases(args []string) []release {
	var releases []release
	for _, arg := range args {
		name, root, ok := strings.Cut(arg, "=")
		parts := strings.Split(name, ".")
		if !ok || len(parts) < 2 {
			log.Fatalf("%q is not VERSION=GOROOT", arg)
		}
		r := release{name: name, root: root}
		var err error
		if r.minor, err = strconv.Atoi(parts[1]); err != nil {
			log.Fatalf("version %q: %v", name, err)
		}
		if len(parts) > 2 {
			if r.patch, err = strconv.Atoi(parts[2]); err != nil {
				log.Fatalf("version %q: %v", name, err)
			}
		}
		r.name = fmt.Sprintf("1.%d.%d", r.minor, r.patch)
		releases = append(releases, r)
	}
	if len(releases) == 0 {
		log.Fatal("no VERSION=GOROOT given")
	}
	sort.Slice(releases, func(i, j int) bool {
		a, b := releases[i], releases[j]
		return a.minor < b.minor || a.minor == b.minor && a.patch < b.patch
	})
	return releases
}

func build(r release, arch, fixture, work string) string {
	binary := filepath.Join(work, "layout-"+r.name+"-"+arch)
	source, err := filepath.Abs(fixture)
	if err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(r.root, "bin", "go"), "build", "-o", binary, source)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GOROOT="+r.root, "GOTOOLCHAIN=local", "GOENV=off", "GOFLAGS=",
		"GO111MODULE=off", "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOEXPERIMENT=")
	if output, err := cmd.CombinedOutput(); err != nil {
		log.Fatalf("go%s build for %s: %v\n%s", r.name, arch, err, output)
	}
	return binary
}

func readDWARF(binary string) map[string]string {
	file, err := elf.Open(binary)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		log.Fatalf("%s: %v", binary, err)
	}
	need := map[string]bool{}
	for _, name := range sizes {
		need["runtime."+name] = true
	}
	for _, w := range wanted {
		name, _, _ := strings.Cut(w, ".")
		need["runtime."+name] = true
	}
	types := map[string]*dwarf.StructType{}
	reader := data.Reader()
	for {
		entry, err := reader.Next()
		if err != nil {
			log.Fatalf("%s: %v", binary, err)
		}
		if entry == nil {
			break
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if entry.Tag != dwarf.TagStructType || !need[name] {
			continue
		}
		t, err := data.Type(entry.Offset)
		if err != nil {
			log.Fatalf("%s: %s: %v", binary, name, err)
		}
		types[strings.TrimPrefix(name, "runtime.")] = t.(*dwarf.StructType)
	}
	found := map[string]string{}
	for _, name := range sizes {
		if t := types[name]; t != nil {
			found[name] = fmt.Sprintf("0:%d", t.ByteSize)
		}
	}
	for _, w := range wanted {
		name, paths, _ := strings.Cut(w, ".")
		names := strings.Split(paths, "|")
		for _, path := range names {
			if t := types[name]; t != nil {
				if offset, size, ok := locate(t, strings.Split(path, ".")); ok {
					found[name+"."+names[0]] = fmt.Sprintf("%d:%d", offset, size)
					break
				}
			}
		}
	}
	return found
}

func locate(t dwarf.Type, path []string) (offset, size int64, ok bool) {
	for len(path) > 0 {
		for {
			named, isNamed := t.(*dwarf.TypedefType)
			if !isNamed {
				break
			}
			t = named.Type
		}
		s, isStruct := t.(*dwarf.StructType)
		if !isStruct {
			return 0, 0, false
		}
		var next *dwarf.StructField
		for _, f := range s.Field {
			if f.Name == path[0] {
				next = f
			}
		}
		if next == nil {
			return 0, 0, false
		}
		offset += next.ByteOffset
		t, path = next.Type, path[1:]
	}
	return offset, t.Size(), true
}

func source(r release, paths ...string) string {
	for _, path := range paths {
		if text, err := os.ReadFile(filepath.Join(r.root, "src", path)); err == nil {
			return string(text)
		}
	}
	log.Fatalf("go%s: none of %v under %s/src", r.name, paths, r.root)
	return ""
}

var sizeTable = regexp.MustCompile(`(?:class_to_size|SizeClassToSize)\s*=\s*\[[^\]]*\]uint16\{([^}]*)\}`)

func sizeClasses(r release) string {
	text := source(r, "internal/runtime/gc/sizeclasses.go", "runtime/sizeclasses.go")
	match := sizeTable.FindStringSubmatch(text)
	if match == nil {
		log.Fatalf("go%s: no table of size classes in sizeclasses.go", r.name)
	}
	return strings.ReplaceAll(match[1], " ", "")
}

var (
	reasonOrder = regexp.MustCompile(`(?m)^\s*(waitReason\w+)(?:\s+waitReason = iota)?\s*//`)
	reasonText  = regexp.MustCompile(`(?m)^\s*(waitReason\w+):\s*"([^"]*)"`)
)

func waitReasons(r release) string {
	text := source(r, "runtime/runtime2.go")
	start := strings.Index(text, "waitReason = iota")
	if start < 0 {
		log.Fatalf("go%s: no wait reasons in runtime2.go", r.name)
	}
	start = strings.LastIndex(text[:start], "\n") + 1
	end := start + strings.Index(text[start:], "\n)")
	words := map[string]string{}
	for _, match := range reasonText.FindAllStringSubmatch(text, -1) {
		words[match[1]] = match[2]
	}
	var list []string
	for _, match := range reasonOrder.FindAllStringSubmatch(text[start:end], -1) {
		list = append(list, words[match[1]])
	}
	return strings.Join(list, "|")
}

// fold makes one row, of "both", of what lies alike on every architecture: most fields
// do. A field that does not, or that an architecture lacks, keeps a row for each that has it,
// so that no row says anything of an architecture on which nobody looked.
func fold(table map[string]map[string]string) {
	for row, values := range table {
		name, ok := strings.CutPrefix(row, "field\t"+arches[0]+"\t")
		if !ok {
			continue
		}
		alike := true
		for _, arch := range arches[1:] {
			alike = alike && same(values, table["field\t"+arch+"\t"+name])
		}
		if !alike {
			continue
		}
		for _, arch := range arches {
			delete(table, "field\t"+arch+"\t"+name)
		}
		table["field\tboth\t"+name] = values
	}
}

// encode writes each row as segments FIRST..LAST=VALUE: the value was read in
// FIRST and LAST and in every release of the list between them. A release
// that lies between two segments was not looked at and has no value.
func encode(table map[string]map[string]string, releases []release) []byte {
	var out bytes.Buffer
	out.WriteString("# Where fields of Go's runtime lie, OFFSET:SIZE. Written by `cargo xtask layouts`; do not edit.\n")
	out.WriteString("releases")
	for _, r := range releases {
		out.WriteString("\t" + r.name)
	}
	out.WriteString("\n")
	rows := make([]string, 0, len(table))
	for row := range table {
		rows = append(rows, row)
	}
	sort.Strings(rows)
	for _, row := range rows {
		out.WriteString(row)
		for i := 0; i < len(releases); {
			value, ok := table[row][releases[i].name]
			j := i
			for j+1 < len(releases) {
				next, nextOK := table[row][releases[j+1].name]
				if next != value || nextOK != ok {
					break
				}
				j++
			}
			if ok {
				fmt.Fprintf(&out, "\t%s..%s=%s", releases[i].name, releases[j].name, value)
			}
			i = j + 1
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if b[key] != value {
			return false
		}
	}
	return true
}
