// What a plugin host in Go reaches, which does what an Elkeid agent does with each record:
// its fields are read one after the other from a buffered reader, its payload into a record of a
// pool, which waits in a buffer of 2,048 until it is taken away as a batch.
//
//	reader <seconds> <writer> <block>
//
// Prints records, bytes, seconds and its processor seconds, after 0.3 s of warming up.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	warmUp   = 300 * time.Millisecond
	capacity = 2048
)

type record struct {
	dataType  int32
	timestamp int64
	payload   []byte
}

var (
	pool   = sync.Pool{New: func() any { return &record{payload: make([]byte, 0, 1024)} }}
	lock   sync.Mutex
	buffer [capacity]*record
	held   int
)

func receive(reader *bufio.Reader) (*record, int, error) {
	var length uint32
	if err := binary.Read(reader, binary.LittleEndian, &length); err != nil {
		return nil, 0, err
	}
	var numbers [3]uint64
	for at := range numbers {
		if _, err := reader.Discard(1); err != nil {
			return nil, 0, err
		}
		number, err := binary.ReadUvarint(reader)
		if err != nil {
			return nil, 0, err
		}
		numbers[at] = number
	}
	one := pool.Get().(*record)
	one.dataType, one.timestamp = int32(numbers[0]), int64(numbers[1])
	if size := int(numbers[2]); cap(one.payload) < size {
		one.payload = make([]byte, size)
	} else {
		one.payload = one.payload[:size]
	}
	_, err := io.ReadFull(reader, one.payload)
	return one, int(length) + 4, err
}

func keep(one *record) {
	lock.Lock()
	defer lock.Unlock()
	if held == capacity {
		for at, old := range buffer {
			pool.Put(old)
			buffer[at] = nil
		}
		held = 0
	}
	buffer[held] = one
	held++
}

func busy() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	check(err)
	taken, given, err := os.Pipe()
	check(err)
	writer := exec.Command(os.Args[2])
	writer.Env = []string{"DETAIL=0 " + os.Args[3]}
	null, err := os.Open(os.DevNull)
	check(err)
	writer.ExtraFiles = []*os.File{null, given}
	check(writer.Start())
	given.Close()
	reader := bufio.NewReaderSize(taken, 128*1024)
	var records, bytes int
	var began time.Time
	var before time.Duration
	for started := time.Now(); ; {
		one, size, err := receive(reader)
		check(err)
		keep(one)
		records, bytes = records+1, bytes+size
		if records%256 != 0 {
			continue
		}
		if began.IsZero() && time.Since(started) > warmUp {
			began, before, records, bytes = time.Now(), busy(), 0, 0
		} else if !began.IsZero() && time.Since(began).Seconds() > seconds {
			break
		}
	}
	elapsed, used := time.Since(began), busy()-before
	writer.Process.Kill()
	writer.Wait()
	fmt.Println(records, bytes, elapsed.Seconds(), used.Seconds())
}
