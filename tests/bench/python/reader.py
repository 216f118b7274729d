# The same for reading one: cached connection, one SELECT. Without a transaction, so that
# it is one round trip. DSN=... uvicorn reader:app --workers 2 --port N
import json, os, psycopg2
_c=None
def conn():
    global _c
    if _c is None or _c.closed:
        _c=psycopg2.connect(os.environ['DSN']); _c.autocommit=True
    return _c
async def app(scope, receive, send):
    if scope['type']!='http': return
    cur=conn().cursor()
    cur.execute("SELECT id,subject,description,priority,status,created_at,updated_at FROM tickets WHERE id=%s AND customer_id=%s",(scope['path'][1:],'c1'))
    r=cur.fetchone(); cur.close()
    if r is None: status,out=404,{}
    else: status,out=200,{'id':r[0],'subject':r[1],'description':r[2],'priority':r[3],'status':r[4],'created_at':r[5].isoformat(),'updated_at':r[6].isoformat()}
    out=json.dumps(out).encode()
    await send({'type':'http.response.start','status':status,'headers':[(b'content-type',b'application/json'),(b'content-length',str(len(out)).encode())]})
    await send({'type':'http.response.body','body':out})
