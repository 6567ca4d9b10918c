// Network clients in pure Go, for the tests of what guards programs from outside: go_client WHAT ADDRESS [DURATION|BYTES]. Each prints the
// milliseconds that it took and what it got, or the error.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

var amount = 50000000

var pooled = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 1}}

var streams = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}

func get(url string) (string, error) {
	return getBy(pooled, url)
}

func getBy(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d bytes", len(body)), err
}

// A raw connection on which `act` is done.
func on(address string, act func(net.Conn) (string, error)) (string, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	return act(connection)
}

func read(connection net.Conn) (string, error) {
	buffer := make([]byte, 100)
	n, err := connection.Read(buffer)
	return fmt.Sprintf("%d bytes", n), err
}

func write(connection net.Conn) (string, error) {
	n, err := connection.Write(make([]byte, amount))
	return fmt.Sprintf("%d bytes", n), err
}

func do(what, address string, pause time.Duration) (string, error) {
	switch what {
	case "get":
		return get("http://" + address + "/")
	case "gets":
		return get("https://" + address + "/")
	case "streams": // two requests over HTTP/2, with a pause between
		if got, err := getBy(streams, "https://"+address+"/"); err != nil {
			return got, err
		}
		time.Sleep(pause)
		return getBy(streams, "https://"+address+"/")
	case "crowds": // many requests over HTTP/2 at a time; after a pause one that is never answered, where there is one
		if got, err := getBy(streams, "https://"+address+"/"); err != nil {
			return got, err
		}
		answers := make(chan error)
		for i := 0; i < 100; i++ {
			go func() {
				_, err := getBy(streams, "https://"+address+"/")
				answers <- err
			}()
		}
		for i := 0; i < 100; i++ {
			if err := <-answers; err != nil {
				return "", err
			}
		}
		time.Sleep(pause)
		fmt.Println("quiet")
		if pause > 0 {
			return getBy(streams, "https://"+address+"/")
		}
		return getBy(streams, "https://"+address+"/never")
	case "twice", "twices": // a request on a pooled connection that has been idle for long
		scheme := map[string]string{"twice": "http://", "twices": "https://"}[what]
		if got, err := get(scheme + address + "/"); err != nil {
			return got, err
		}
		time.Sleep(pause)
		return get(scheme + address + "/")
	case "until": // requests until one succeeds after one has failed: the pool must not keep the dead connection
		failed := false
		for {
			got, err := get("http://" + address + "/")
			if err == nil && failed {
				return got, err
			}
			failed = failed || err != nil
			fmt.Println("request", got, err)
			time.Sleep(pause)
		}
	case "read":
		return on(address, read)
	case "ask":
		return on(address, func(connection net.Conn) (string, error) {
			time.Sleep(pause)
			fmt.Fprintf(connection, "hello\n")
			return read(connection)
		})
	case "log": // lines from time to time, without a look at what the server has to say
		return on(address, func(connection net.Conn) (string, error) {
			for i := 0; i < 3; i++ {
				if _, err := fmt.Fprintf(connection, "hello\n"); err != nil {
					return "", err
				}
				time.Sleep(pause)
			}
			return "3 lines", nil
		})
	case "rest": // of what the server has to say
		return on(address, func(connection net.Conn) (string, error) {
			fmt.Fprintf(connection, "hello\n")
			all, err := io.ReadAll(connection)
			return fmt.Sprintf("%d bytes", len(all)), err
		})
	case "file": // the rest, into a file: by splice since Go 1.21
		return on(address, func(connection net.Conn) (string, error) {
			file, err := os.CreateTemp("", "go_client")
			if err != nil {
				return "", err
			}
			os.Remove(file.Name())
			fmt.Fprintf(connection, "hello\n")
			n, err := io.Copy(file, connection)
			return fmt.Sprintf("%d bytes", n), err
		})
	case "line": // of an answer, while another connection, of which nothing is wanted, is idle
		return on(address, func(idle net.Conn) (string, error) {
			fmt.Fprintf(idle, "hello\n")
			bufio.NewReader(idle).ReadByte()
			return on(address, func(connection net.Conn) (string, error) {
				fmt.Fprintf(connection, "hello\n")
				line, err := bufio.NewReader(connection).ReadString('\n')
				if err == nil {
					_, err = fmt.Fprintf(idle, "hello\n")
				}
				return fmt.Sprintf("%d bytes", len(line)), err
			})
		})
	case "proxy": // bytes in both directions, by splice, for the first who comes
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		client, err := listener.Accept()
		if err != nil {
			return "", err
		}
		defer client.Close()
		return on(address, func(connection net.Conn) (string, error) {
			go io.Copy(connection, client)
			n, err := io.Copy(client, connection)
			return fmt.Sprintf("%d bytes", n), err
		})
	case "half open": // all is asked, and that is told, before the answer
		return on(address, func(connection net.Conn) (string, error) {
			fmt.Fprintf(connection, "hello\n")
			connection.(*net.TCPConn).CloseWrite()
			all, err := io.ReadAll(connection)
			return fmt.Sprintf("%d bytes", len(all)), err
		})
	case "events": // lines of a body that has no end
		response, err := pooled.Get("http://" + address + "/")
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		lines, count := bufio.NewScanner(response.Body), 0
		for lines.Scan() {
			count++
		}
		return fmt.Sprintf("%d lines", count), lines.Err()
	case "post": // an upload whose length is not known
		from, to := io.Pipe()
		go func() {
			to.Write(make([]byte, amount))
			to.Close()
		}()
		response, err := pooled.Post("http://"+address+"/", "text/plain", from)
		if err != nil {
			return "", err
		}
		response.Body.Close()
		return response.Status, nil
	case "write":
		return on(address, write)
	case "close": // while another goroutine's write is stuck
		return on(address, func(connection net.Conn) (string, error) {
			done := make(chan error)
			go func() {
				_, err := write(connection)
				done <- err
			}()
			err := <-done
			return "written", err
		})
	case "half": // a TLS connection's end is to be sent while another goroutine's write is stuck
		connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		fmt.Println("connected")
		time.Sleep(pause)
		written := make(chan error)
		go func() {
			_, err := connection.Write(make([]byte, amount))
			written <- err
		}()
		time.Sleep(pause)
		err = connection.CloseWrite()
		fmt.Println("written", <-written)
		return "closed", err
	case "idle":
		return on(address, func(connection net.Conn) (string, error) {
			fmt.Fprintf(connection, "hello\n")
			read(connection)
			time.Sleep(pause)
			fmt.Fprintf(connection, "hello\n")
			return read(connection)
		})
	case "echo": // a server of lines, and when each of its clients came and went
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return "", err
		}
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return "", err
			}
			go func() {
				defer connection.Close()
				n, err := io.Copy(struct{ io.Writer }{connection}, bufio.NewReader(connection))
				fmt.Println(n, "bytes", err)
			}()
		}
	case "serve", "serves": // an HTTP server that thinks for long; by TLS, with the certificate in a file
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return "", err
		}
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		handler := http.HandlerFunc(func(to http.ResponseWriter, from *http.Request) {
			io.Copy(io.Discard, from.Body)
			if from.URL.Path == "/never" {
				<-from.Context().Done()
			}
			for i := 0; i < 2 && from.URL.Path == "/events"; i++ {
				fmt.Fprintf(to, "data: %d\n\n", i)
				to.(http.Flusher).Flush()
				time.Sleep(pause)
			}
			time.Sleep(pause)
			fmt.Fprintln(to, "hello")
		})
		if what == "serves" {
			return "", http.ServeTLS(listener, handler, os.Args[4], os.Args[4])
		}
		return "", http.Serve(listener, handler)
	}
	return "", fmt.Errorf("what is %s?", what)
}

func main() {
	var pause time.Duration
	if len(os.Args) > 3 {
		pause, _ = time.ParseDuration(os.Args[3])
		if bytes, err := strconv.Atoi(os.Args[3]); err == nil {
			amount = bytes
		}
	}
	began := time.Now()
	got, err := do(os.Args[1], os.Args[2], pause)
	fmt.Println(time.Since(began).Milliseconds(), got, err)
	if err != nil {
		os.Exit(1)
	}
}
