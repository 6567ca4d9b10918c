// Looks COUNT distinct names up from WORKERS goroutines: go_storm WORKERS COUNT. Prints how many, how many failed, and the longest in ms.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	workers, _ := strconv.Atoi(os.Args[1])
	count, _ := strconv.Atoi(os.Args[2])
	var next, failed, longest int64
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				n := atomic.AddInt64(&next, 1)
				if n > int64(count) {
					return
				}
				began := time.Now()
				if _, err := net.LookupHost(fmt.Sprintf("n%d.test", n)); err != nil {
					atomic.AddInt64(&failed, 1)
				}
				took := time.Since(began).Milliseconds()
				for most := atomic.LoadInt64(&longest); took > most; most = atomic.LoadInt64(&longest) {
					atomic.CompareAndSwapInt64(&longest, most, took)
				}
			}
		}()
	}
	group.Wait()
	fmt.Println(count, failed, longest)
}
