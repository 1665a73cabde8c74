"""Opens a page in Chromium through its DevTools protocol, without packages, and reports what the page does.

usage: browser.py CHROMIUM URL SCREENSHOT SECONDS [noscript]
Prints one JSON object: the video's time and frames at the end, the media's errors, requests to other hosts, and reports of
the content policy."""
import base64, json, os, socket, struct, subprocess, sys, tempfile, time, urllib.parse, urllib.request

chromium, url, screenshot, seconds, *rest = sys.argv[1:]
scripts = 'noscript' not in rest
profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
browser = subprocess.Popen(
    [chromium, '--headless=new', '--no-sandbox', '--disable-gpu', '--mute-audio', '--no-first-run', '--disable-extensions',
     '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-port=0',
     '--autoplay-policy=no-user-gesture-required', f'--user-data-dir={profile.name}', 'about:blank'],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, 'HOME': profile.name})
try:
    port_file, deadline = os.path.join(profile.name, 'DevToolsActivePort'), time.time() + 60
    while not os.path.exists(port_file) or '\n' not in open(port_file).read():
        assert time.time() < deadline and browser.poll() is None, 'the browser did not start'
        time.sleep(.1)
    port = int(open(port_file).readline())
    pages = [page for page in json.load(urllib.request.urlopen(f'http://127.0.0.1:{port}/json/list')) if page['type'] == 'page']
    path = urllib.parse.urlparse(pages[0]['webSocketDebuggerUrl']).path
    link = socket.create_connection(('127.0.0.1', port))
    link.sendall((f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                  f'Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n').encode())
    reader = link.makefile('rb')
    assert b' 101 ' in reader.readline()
    while reader.readline() != b'\r\n':
        pass

    count, events = 0, []

    def receive():
        message = b''
        while True:
            first, length = reader.read(2)
            if length == 126: length, = struct.unpack('>H', reader.read(2))
            elif length == 127: length, = struct.unpack('>Q', reader.read(8))
            message += reader.read(length)
            if first & 0x80:
                return json.loads(message)

    def call(method, **parameters):
        global count
        count += 1
        text = json.dumps({'id': count, 'method': method, 'params': parameters}).encode()
        mask = os.urandom(4)
        link.sendall(b'\x81\xff' + struct.pack('>Q', len(text)) + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(text)))
        while True:
            message = receive()
            if message.get('id') == count:
                return message.get('result', message)
            events.append(message)

    for domain in ('Network', 'Log', 'Page', 'Runtime', 'Media'):
        call(domain + '.enable')
    call('Emulation.setScriptExecutionDisabled', value=not scripts)
    began = time.time()
    call('Page.navigate', url=url)
    look = '''(() => { const video = document.querySelector('video[src]') || document.querySelector('video');
        if (!video) return null;
        const quality = video.getVideoPlaybackQuality(), ranges = video.buffered;
        return { time: video.currentTime, shown: quality.totalVideoFrames, dropped: quality.droppedVideoFrames,
            decoded: video.webkitDecodedFrameCount, audio: video.webkitAudioDecodedByteCount, width: video.videoWidth,
            ranges: ranges.length, behind: ranges.length ? ranges.end(ranges.length - 1) - video.currentTime : null,
            error: video.error && video.error.message, src: video.src, text: document.body.innerText } })()'''
    first, seen, state = None, [], None
    while time.time() < began + float(seconds):
        time.sleep(.1)
        answer = call('Runtime.evaluate', expression=look, returnByValue=True)
        state = answer.get('result', {}).get('value') or state
        if state:
            seen.append(state['time'])
            if first is None and state['decoded'] > 0:
                first = round(time.time() - began, 2)
    image = call('Page.captureScreenshot')
    with open(screenshot, 'wb') as out:
        out.write(base64.b64decode(image['data']))
    requests = [event['params']['request']['url'] for event in events if event['method'] == 'Network.requestWillBeSent']
    # The browser's own controls of the video have pictures in data URLs.
    requests = [one for one in requests if not one.startswith('data:')]
    host = urllib.parse.urlparse(url).netloc
    foreign = [one for one in requests if urllib.parse.urlparse(one).netloc != host and not one.startswith(f'blob:http://{host}/')]
    logs = [event['params']['entry'] for event in events if event['method'] == 'Log.entryAdded']
    policy = [entry['text'] for entry in logs if 'Content Security Policy' in entry['text'] or entry['source'] == 'security']
    thrown = [event['params']['exceptionDetails'].get('exception', {}).get('description') for event in events
              if event['method'] == 'Runtime.exceptionThrown']
    print(json.dumps({'state': state, 'first_picture': first, 'advanced': max(seen, default=0) - min(seen, default=0),
                      'requests': requests, 'foreign': foreign, 'policy': policy, 'thrown': thrown,
                      'logs': [entry['text'] for entry in logs]}))
finally:
    browser.kill()
    browser.wait()
