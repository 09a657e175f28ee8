"""The asset store: keeps media by the SHA-256 of its bytes on local disk and serves `AssetService`.

<data-dir>/content/<hex[0:2]>/<hex>   the bytes; read-only, whole as soon as they are there
<data-dir>/uploads/<upload_id>.part   uploads that are not complete
<data-dir>/work/                      casts under way
<data-dir>/corrupt/<hex>              bytes that were found damaged, set aside
<data-dir>/index.sqlite               what is known of them; made anew from the content when it is lost
"""
