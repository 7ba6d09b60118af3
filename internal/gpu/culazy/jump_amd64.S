// Each entry point jumps to where culazy_entry points.
// Written by scripts/cuda_header.py.

//go:build cuda && linux && amd64

	.section .note.GNU-stack,"",@progbits
	.text
	.globl cuArray3DCreate_v2
	.hidden cuArray3DCreate_v2
	.type cuArray3DCreate_v2, @function
cuArray3DCreate_v2:
	endbr64
	jmp *culazy_entry+0(%rip)
	.size cuArray3DCreate_v2, .-cuArray3DCreate_v2
	.globl cuArray3DGetDescriptor_v2
	.hidden cuArray3DGetDescriptor_v2
	.type cuArray3DGetDescriptor_v2, @function
cuArray3DGetDescriptor_v2:
	endbr64
	jmp *culazy_entry+8(%rip)
	.size cuArray3DGetDescriptor_v2, .-cuArray3DGetDescriptor_v2
	.globl cuArrayCreate_v2
	.hidden cuArrayCreate_v2
	.type cuArrayCreate_v2, @function
cuArrayCreate_v2:
	endbr64
	jmp *culazy_entry+16(%rip)
	.size cuArrayCreate_v2, .-cuArrayCreate_v2
	.globl cuArrayDestroy
	.hidden cuArrayDestroy
	.type cuArrayDestroy, @function
cuArrayDestroy:
	endbr64
	jmp *culazy_entry+24(%rip)
	.size cuArrayDestroy, .-cuArrayDestroy
	.globl cuArrayGetDescriptor_v2
	.hidden cuArrayGetDescriptor_v2
	.type cuArrayGetDescriptor_v2, @function
cuArrayGetDescriptor_v2:
	endbr64
	jmp *culazy_entry+32(%rip)
	.size cuArrayGetDescriptor_v2, .-cuArrayGetDescriptor_v2
	.globl cuCtxCreate_v2
	.hidden cuCtxCreate_v2
	.type cuCtxCreate_v2, @function
cuCtxCreate_v2:
	endbr64
	jmp *culazy_entry+40(%rip)
	.size cuCtxCreate_v2, .-cuCtxCreate_v2
	.globl cuCtxDestroy_v2
	.hidden cuCtxDestroy_v2
	.type cuCtxDestroy_v2, @function
cuCtxDestroy_v2:
	endbr64
	jmp *culazy_entry+48(%rip)
	.size cuCtxDestroy_v2, .-cuCtxDestroy_v2
	.globl cuCtxDisablePeerAccess
	.hidden cuCtxDisablePeerAccess
	.type cuCtxDisablePeerAccess, @function
cuCtxDisablePeerAccess:
	endbr64
	jmp *culazy_entry+56(%rip)
	.size cuCtxDisablePeerAccess, .-cuCtxDisablePeerAccess
	.globl cuCtxEnablePeerAccess
	.hidden cuCtxEnablePeerAccess
	.type cuCtxEnablePeerAccess, @function
cuCtxEnablePeerAccess:
	endbr64
	jmp *culazy_entry+64(%rip)
	.size cuCtxEnablePeerAccess, .-cuCtxEnablePeerAccess
	.globl cuCtxGetApiVersion
	.hidden cuCtxGetApiVersion
	.type cuCtxGetApiVersion, @function
cuCtxGetApiVersion:
	endbr64
	jmp *culazy_entry+72(%rip)
	.size cuCtxGetApiVersion, .-cuCtxGetApiVersion
	.globl cuCtxGetCacheConfig
	.hidden cuCtxGetCacheConfig
	.type cuCtxGetCacheConfig, @function
cuCtxGetCacheConfig:
	endbr64
	jmp *culazy_entry+80(%rip)
	.size cuCtxGetCacheConfig, .-cuCtxGetCacheConfig
	.globl cuCtxGetCurrent
	.hidden cuCtxGetCurrent
	.type cuCtxGetCurrent, @function
cuCtxGetCurrent:
	endbr64
	jmp *culazy_entry+88(%rip)
	.size cuCtxGetCurrent, .-cuCtxGetCurrent
	.globl cuCtxGetDevice
	.hidden cuCtxGetDevice
	.type cuCtxGetDevice, @function
cuCtxGetDevice:
	endbr64
	jmp *culazy_entry+96(%rip)
	.size cuCtxGetDevice, .-cuCtxGetDevice
	.globl cuCtxGetFlags
	.hidden cuCtxGetFlags
	.type cuCtxGetFlags, @function
cuCtxGetFlags:
	endbr64
	jmp *culazy_entry+104(%rip)
	.size cuCtxGetFlags, .-cuCtxGetFlags
	.globl cuCtxGetLimit
	.hidden cuCtxGetLimit
	.type cuCtxGetLimit, @function
cuCtxGetLimit:
	endbr64
	jmp *culazy_entry+112(%rip)
	.size cuCtxGetLimit, .-cuCtxGetLimit
	.globl cuCtxGetSharedMemConfig
	.hidden cuCtxGetSharedMemConfig
	.type cuCtxGetSharedMemConfig, @function
cuCtxGetSharedMemConfig:
	endbr64
	jmp *culazy_entry+120(%rip)
	.size cuCtxGetSharedMemConfig, .-cuCtxGetSharedMemConfig
	.globl cuCtxGetStreamPriorityRange
	.hidden cuCtxGetStreamPriorityRange
	.type cuCtxGetStreamPriorityRange, @function
cuCtxGetStreamPriorityRange:
	endbr64
	jmp *culazy_entry+128(%rip)
	.size cuCtxGetStreamPriorityRange, .-cuCtxGetStreamPriorityRange
	.globl cuCtxPopCurrent_v2
	.hidden cuCtxPopCurrent_v2
	.type cuCtxPopCurrent_v2, @function
cuCtxPopCurrent_v2:
	endbr64
	jmp *culazy_entry+136(%rip)
	.size cuCtxPopCurrent_v2, .-cuCtxPopCurrent_v2
	.globl cuCtxPushCurrent_v2
	.hidden cuCtxPushCurrent_v2
	.type cuCtxPushCurrent_v2, @function
cuCtxPushCurrent_v2:
	endbr64
	jmp *culazy_entry+144(%rip)
	.size cuCtxPushCurrent_v2, .-cuCtxPushCurrent_v2
	.globl cuCtxResetPersistingL2Cache
	.hidden cuCtxResetPersistingL2Cache
	.type cuCtxResetPersistingL2Cache, @function
cuCtxResetPersistingL2Cache:
	endbr64
	jmp *culazy_entry+152(%rip)
	.size cuCtxResetPersistingL2Cache, .-cuCtxResetPersistingL2Cache
	.globl cuCtxSetCacheConfig
	.hidden cuCtxSetCacheConfig
	.type cuCtxSetCacheConfig, @function
cuCtxSetCacheConfig:
	endbr64
	jmp *culazy_entry+160(%rip)
	.size cuCtxSetCacheConfig, .-cuCtxSetCacheConfig
	.globl cuCtxSetCurrent
	.hidden cuCtxSetCurrent
	.type cuCtxSetCurrent, @function
cuCtxSetCurrent:
	endbr64
	jmp *culazy_entry+168(%rip)
	.size cuCtxSetCurrent, .-cuCtxSetCurrent
	.globl cuCtxSetLimit
	.hidden cuCtxSetLimit
	.type cuCtxSetLimit, @function
cuCtxSetLimit:
	endbr64
	jmp *culazy_entry+176(%rip)
	.size cuCtxSetLimit, .-cuCtxSetLimit
	.globl cuCtxSetSharedMemConfig
	.hidden cuCtxSetSharedMemConfig
	.type cuCtxSetSharedMemConfig, @function
cuCtxSetSharedMemConfig:
	endbr64
	jmp *culazy_entry+184(%rip)
	.size cuCtxSetSharedMemConfig, .-cuCtxSetSharedMemConfig
	.globl cuCtxSynchronize
	.hidden cuCtxSynchronize
	.type cuCtxSynchronize, @function
cuCtxSynchronize:
	endbr64
	jmp *culazy_entry+192(%rip)
	.size cuCtxSynchronize, .-cuCtxSynchronize
	.globl cuDeviceCanAccessPeer
	.hidden cuDeviceCanAccessPeer
	.type cuDeviceCanAccessPeer, @function
cuDeviceCanAccessPeer:
	endbr64
	jmp *culazy_entry+200(%rip)
	.size cuDeviceCanAccessPeer, .-cuDeviceCanAccessPeer
	.globl cuDeviceGet
	.hidden cuDeviceGet
	.type cuDeviceGet, @function
cuDeviceGet:
	endbr64
	jmp *culazy_entry+208(%rip)
	.size cuDeviceGet, .-cuDeviceGet
	.globl cuDeviceGetAttribute
	.hidden cuDeviceGetAttribute
	.type cuDeviceGetAttribute, @function
cuDeviceGetAttribute:
	endbr64
	jmp *culazy_entry+216(%rip)
	.size cuDeviceGetAttribute, .-cuDeviceGetAttribute
	.globl cuDeviceGetName
	.hidden cuDeviceGetName
	.type cuDeviceGetName, @function
cuDeviceGetName:
	endbr64
	jmp *culazy_entry+232(%rip)
	.size cuDeviceGetName, .-cuDeviceGetName
	.globl cuDeviceGetP2PAttribute
	.hidden cuDeviceGetP2PAttribute
	.type cuDeviceGetP2PAttribute, @function
cuDeviceGetP2PAttribute:
	endbr64
	jmp *culazy_entry+240(%rip)
	.size cuDeviceGetP2PAttribute, .-cuDeviceGetP2PAttribute
	.globl cuDeviceGetUuid
	.hidden cuDeviceGetUuid
	.type cuDeviceGetUuid, @function
cuDeviceGetUuid:
	endbr64
	jmp *culazy_entry+248(%rip)
	.size cuDeviceGetUuid, .-cuDeviceGetUuid
	.globl cuDevicePrimaryCtxGetState
	.hidden cuDevicePrimaryCtxGetState
	.type cuDevicePrimaryCtxGetState, @function
cuDevicePrimaryCtxGetState:
	endbr64
	jmp *culazy_entry+256(%rip)
	.size cuDevicePrimaryCtxGetState, .-cuDevicePrimaryCtxGetState
	.globl cuDevicePrimaryCtxRelease_v2
	.hidden cuDevicePrimaryCtxRelease_v2
	.type cuDevicePrimaryCtxRelease_v2, @function
cuDevicePrimaryCtxRelease_v2:
	endbr64
	jmp *culazy_entry+264(%rip)
	.size cuDevicePrimaryCtxRelease_v2, .-cuDevicePrimaryCtxRelease_v2
	.globl cuDevicePrimaryCtxReset_v2
	.hidden cuDevicePrimaryCtxReset_v2
	.type cuDevicePrimaryCtxReset_v2, @function
cuDevicePrimaryCtxReset_v2:
	endbr64
	jmp *culazy_entry+272(%rip)
	.size cuDevicePrimaryCtxReset_v2, .-cuDevicePrimaryCtxReset_v2
	.globl cuDevicePrimaryCtxRetain
	.hidden cuDevicePrimaryCtxRetain
	.type cuDevicePrimaryCtxRetain, @function
cuDevicePrimaryCtxRetain:
	endbr64
	jmp *culazy_entry+280(%rip)
	.size cuDevicePrimaryCtxRetain, .-cuDevicePrimaryCtxRetain
	.globl cuDevicePrimaryCtxSetFlags_v2
	.hidden cuDevicePrimaryCtxSetFlags_v2
	.type cuDevicePrimaryCtxSetFlags_v2, @function
cuDevicePrimaryCtxSetFlags_v2:
	endbr64
	jmp *culazy_entry+288(%rip)
	.size cuDevicePrimaryCtxSetFlags_v2, .-cuDevicePrimaryCtxSetFlags_v2
	.globl cuDeviceTotalMem_v2
	.hidden cuDeviceTotalMem_v2
	.type cuDeviceTotalMem_v2, @function
cuDeviceTotalMem_v2:
	endbr64
	jmp *culazy_entry+296(%rip)
	.size cuDeviceTotalMem_v2, .-cuDeviceTotalMem_v2
	.globl cuDriverGetVersion
	.hidden cuDriverGetVersion
	.type cuDriverGetVersion, @function
cuDriverGetVersion:
	endbr64
	jmp *culazy_entry+304(%rip)
	.size cuDriverGetVersion, .-cuDriverGetVersion
	.globl cuEventCreate
	.hidden cuEventCreate
	.type cuEventCreate, @function
cuEventCreate:
	endbr64
	jmp *culazy_entry+312(%rip)
	.size cuEventCreate, .-cuEventCreate
	.globl cuEventDestroy_v2
	.hidden cuEventDestroy_v2
	.type cuEventDestroy_v2, @function
cuEventDestroy_v2:
	endbr64
	jmp *culazy_entry+320(%rip)
	.size cuEventDestroy_v2, .-cuEventDestroy_v2
	.globl cuEventElapsedTime
	.hidden cuEventElapsedTime
	.type cuEventElapsedTime, @function
cuEventElapsedTime:
	endbr64
	jmp *culazy_entry+328(%rip)
	.size cuEventElapsedTime, .-cuEventElapsedTime
	.globl cuEventQuery
	.hidden cuEventQuery
	.type cuEventQuery, @function
cuEventQuery:
	endbr64
	jmp *culazy_entry+336(%rip)
	.size cuEventQuery, .-cuEventQuery
	.globl cuEventRecord
	.hidden cuEventRecord
	.type cuEventRecord, @function
cuEventRecord:
	endbr64
	jmp *culazy_entry+344(%rip)
	.size cuEventRecord, .-cuEventRecord
	.globl cuEventSynchronize
	.hidden cuEventSynchronize
	.type cuEventSynchronize, @function
cuEventSynchronize:
	endbr64
	jmp *culazy_entry+352(%rip)
	.size cuEventSynchronize, .-cuEventSynchronize
	.globl cuFuncGetAttribute
	.hidden cuFuncGetAttribute
	.type cuFuncGetAttribute, @function
cuFuncGetAttribute:
	endbr64
	jmp *culazy_entry+360(%rip)
	.size cuFuncGetAttribute, .-cuFuncGetAttribute
	.globl cuFuncGetParamInfo
	.hidden cuFuncGetParamInfo
	.type cuFuncGetParamInfo, @function
cuFuncGetParamInfo:
	endbr64
	jmp *culazy_entry+368(%rip)
	.size cuFuncGetParamInfo, .-cuFuncGetParamInfo
	.globl cuFuncSetAttribute
	.hidden cuFuncSetAttribute
	.type cuFuncSetAttribute, @function
cuFuncSetAttribute:
	endbr64
	jmp *culazy_entry+376(%rip)
	.size cuFuncSetAttribute, .-cuFuncSetAttribute
	.globl cuFuncSetCacheConfig
	.hidden cuFuncSetCacheConfig
	.type cuFuncSetCacheConfig, @function
cuFuncSetCacheConfig:
	endbr64
	jmp *culazy_entry+384(%rip)
	.size cuFuncSetCacheConfig, .-cuFuncSetCacheConfig
	.globl cuFuncSetSharedMemConfig
	.hidden cuFuncSetSharedMemConfig
	.type cuFuncSetSharedMemConfig, @function
cuFuncSetSharedMemConfig:
	endbr64
	jmp *culazy_entry+392(%rip)
	.size cuFuncSetSharedMemConfig, .-cuFuncSetSharedMemConfig
	.globl cuGetErrorName
	.hidden cuGetErrorName
	.type cuGetErrorName, @function
cuGetErrorName:
	endbr64
	jmp *culazy_entry+400(%rip)
	.size cuGetErrorName, .-cuGetErrorName
	.globl cuGraphAddChildGraphNode
	.hidden cuGraphAddChildGraphNode
	.type cuGraphAddChildGraphNode, @function
cuGraphAddChildGraphNode:
	endbr64
	jmp *culazy_entry+408(%rip)
	.size cuGraphAddChildGraphNode, .-cuGraphAddChildGraphNode
	.globl cuGraphAddDependencies
	.hidden cuGraphAddDependencies
	.type cuGraphAddDependencies, @function
cuGraphAddDependencies:
	endbr64
	jmp *culazy_entry+416(%rip)
	.size cuGraphAddDependencies, .-cuGraphAddDependencies
	.globl cuGraphAddEmptyNode
	.hidden cuGraphAddEmptyNode
	.type cuGraphAddEmptyNode, @function
cuGraphAddEmptyNode:
	endbr64
	jmp *culazy_entry+424(%rip)
	.size cuGraphAddEmptyNode, .-cuGraphAddEmptyNode
	.globl cuGraphAddHostNode
	.hidden cuGraphAddHostNode
	.type cuGraphAddHostNode, @function
cuGraphAddHostNode:
	endbr64
	jmp *culazy_entry+432(%rip)
	.size cuGraphAddHostNode, .-cuGraphAddHostNode
	.globl cuGraphAddKernelNode
	.hidden cuGraphAddKernelNode
	.type cuGraphAddKernelNode, @function
cuGraphAddKernelNode:
	endbr64
	jmp *culazy_entry+440(%rip)
	.size cuGraphAddKernelNode, .-cuGraphAddKernelNode
	.globl cuGraphAddMemcpyNode
	.hidden cuGraphAddMemcpyNode
	.type cuGraphAddMemcpyNode, @function
cuGraphAddMemcpyNode:
	endbr64
	jmp *culazy_entry+448(%rip)
	.size cuGraphAddMemcpyNode, .-cuGraphAddMemcpyNode
	.globl cuGraphAddMemsetNode
	.hidden cuGraphAddMemsetNode
	.type cuGraphAddMemsetNode, @function
cuGraphAddMemsetNode:
	endbr64
	jmp *culazy_entry+456(%rip)
	.size cuGraphAddMemsetNode, .-cuGraphAddMemsetNode
	.globl cuGraphClone
	.hidden cuGraphClone
	.type cuGraphClone, @function
cuGraphClone:
	endbr64
	jmp *culazy_entry+464(%rip)
	.size cuGraphClone, .-cuGraphClone
	.globl cuGraphCreate
	.hidden cuGraphCreate
	.type cuGraphCreate, @function
cuGraphCreate:
	endbr64
	jmp *culazy_entry+472(%rip)
	.size cuGraphCreate, .-cuGraphCreate
	.globl cuGraphDestroy
	.hidden cuGraphDestroy
	.type cuGraphDestroy, @function
cuGraphDestroy:
	endbr64
	jmp *culazy_entry+480(%rip)
	.size cuGraphDestroy, .-cuGraphDestroy
	.globl cuGraphDestroyNode
	.hidden cuGraphDestroyNode
	.type cuGraphDestroyNode, @function
cuGraphDestroyNode:
	endbr64
	jmp *culazy_entry+488(%rip)
	.size cuGraphDestroyNode, .-cuGraphDestroyNode
	.globl cuGraphExecDestroy
	.hidden cuGraphExecDestroy
	.type cuGraphExecDestroy, @function
cuGraphExecDestroy:
	endbr64
	jmp *culazy_entry+496(%rip)
	.size cuGraphExecDestroy, .-cuGraphExecDestroy
	.globl cuGraphGetEdges
	.hidden cuGraphGetEdges
	.type cuGraphGetEdges, @function
cuGraphGetEdges:
	endbr64
	jmp *culazy_entry+504(%rip)
	.size cuGraphGetEdges, .-cuGraphGetEdges
	.globl cuGraphInstantiateWithFlags
	.hidden cuGraphInstantiateWithFlags
	.type cuGraphInstantiateWithFlags, @function
cuGraphInstantiateWithFlags:
	endbr64
	jmp *culazy_entry+512(%rip)
	.size cuGraphInstantiateWithFlags, .-cuGraphInstantiateWithFlags
	.globl cuGraphLaunch
	.hidden cuGraphLaunch
	.type cuGraphLaunch, @function
cuGraphLaunch:
	endbr64
	jmp *culazy_entry+520(%rip)
	.size cuGraphLaunch, .-cuGraphLaunch
	.globl cuLaunchKernel
	.hidden cuLaunchKernel
	.type cuLaunchKernel, @function
cuLaunchKernel:
	endbr64
	jmp *culazy_entry+536(%rip)
	.size cuLaunchKernel, .-cuLaunchKernel
	.globl cuLaunchKernelEx
	.hidden cuLaunchKernelEx
	.type cuLaunchKernelEx, @function
cuLaunchKernelEx:
	endbr64
	jmp *culazy_entry+544(%rip)
	.size cuLaunchKernelEx, .-cuLaunchKernelEx
	.globl cuLinkAddData_v2
	.hidden cuLinkAddData_v2
	.type cuLinkAddData_v2, @function
cuLinkAddData_v2:
	endbr64
	jmp *culazy_entry+552(%rip)
	.size cuLinkAddData_v2, .-cuLinkAddData_v2
	.globl cuLinkAddFile_v2
	.hidden cuLinkAddFile_v2
	.type cuLinkAddFile_v2, @function
cuLinkAddFile_v2:
	endbr64
	jmp *culazy_entry+560(%rip)
	.size cuLinkAddFile_v2, .-cuLinkAddFile_v2
	.globl cuLinkComplete
	.hidden cuLinkComplete
	.type cuLinkComplete, @function
cuLinkComplete:
	endbr64
	jmp *culazy_entry+568(%rip)
	.size cuLinkComplete, .-cuLinkComplete
	.globl cuLinkCreate_v2
	.hidden cuLinkCreate_v2
	.type cuLinkCreate_v2, @function
cuLinkCreate_v2:
	endbr64
	jmp *culazy_entry+576(%rip)
	.size cuLinkCreate_v2, .-cuLinkCreate_v2
	.globl cuLinkDestroy
	.hidden cuLinkDestroy
	.type cuLinkDestroy, @function
cuLinkDestroy:
	endbr64
	jmp *culazy_entry+584(%rip)
	.size cuLinkDestroy, .-cuLinkDestroy
	.globl cuMemAdvise
	.hidden cuMemAdvise
	.type cuMemAdvise, @function
cuMemAdvise:
	endbr64
	jmp *culazy_entry+592(%rip)
	.size cuMemAdvise, .-cuMemAdvise
	.globl cuMemAllocManaged
	.hidden cuMemAllocManaged
	.type cuMemAllocManaged, @function
cuMemAllocManaged:
	endbr64
	jmp *culazy_entry+600(%rip)
	.size cuMemAllocManaged, .-cuMemAllocManaged
	.globl cuMemAllocPitch_v2
	.hidden cuMemAllocPitch_v2
	.type cuMemAllocPitch_v2, @function
cuMemAllocPitch_v2:
	endbr64
	jmp *culazy_entry+608(%rip)
	.size cuMemAllocPitch_v2, .-cuMemAllocPitch_v2
	.globl cuMemAlloc_v2
	.hidden cuMemAlloc_v2
	.type cuMemAlloc_v2, @function
cuMemAlloc_v2:
	endbr64
	jmp *culazy_entry+616(%rip)
	.size cuMemAlloc_v2, .-cuMemAlloc_v2
	.globl cuMemFreeHost
	.hidden cuMemFreeHost
	.type cuMemFreeHost, @function
cuMemFreeHost:
	endbr64
	jmp *culazy_entry+624(%rip)
	.size cuMemFreeHost, .-cuMemFreeHost
	.globl cuMemFree_v2
	.hidden cuMemFree_v2
	.type cuMemFree_v2, @function
cuMemFree_v2:
	endbr64
	jmp *culazy_entry+632(%rip)
	.size cuMemFree_v2, .-cuMemFree_v2
	.globl cuMemGetAddressRange_v2
	.hidden cuMemGetAddressRange_v2
	.type cuMemGetAddressRange_v2, @function
cuMemGetAddressRange_v2:
	endbr64
	jmp *culazy_entry+640(%rip)
	.size cuMemGetAddressRange_v2, .-cuMemGetAddressRange_v2
	.globl cuMemGetInfo_v2
	.hidden cuMemGetInfo_v2
	.type cuMemGetInfo_v2, @function
cuMemGetInfo_v2:
	endbr64
	jmp *culazy_entry+648(%rip)
	.size cuMemGetInfo_v2, .-cuMemGetInfo_v2
	.globl cuMemHostAlloc
	.hidden cuMemHostAlloc
	.type cuMemHostAlloc, @function
cuMemHostAlloc:
	endbr64
	jmp *culazy_entry+656(%rip)
	.size cuMemHostAlloc, .-cuMemHostAlloc
	.globl cuMemPrefetchAsync
	.hidden cuMemPrefetchAsync
	.type cuMemPrefetchAsync, @function
cuMemPrefetchAsync:
	endbr64
	jmp *culazy_entry+664(%rip)
	.size cuMemPrefetchAsync, .-cuMemPrefetchAsync
	.globl cuMemcpy
	.hidden cuMemcpy
	.type cuMemcpy, @function
cuMemcpy:
	endbr64
	jmp *culazy_entry+672(%rip)
	.size cuMemcpy, .-cuMemcpy
	.globl cuMemcpy2DAsync_v2
	.hidden cuMemcpy2DAsync_v2
	.type cuMemcpy2DAsync_v2, @function
cuMemcpy2DAsync_v2:
	endbr64
	jmp *culazy_entry+680(%rip)
	.size cuMemcpy2DAsync_v2, .-cuMemcpy2DAsync_v2
	.globl cuMemcpy2DUnaligned_v2
	.hidden cuMemcpy2DUnaligned_v2
	.type cuMemcpy2DUnaligned_v2, @function
cuMemcpy2DUnaligned_v2:
	endbr64
	jmp *culazy_entry+688(%rip)
	.size cuMemcpy2DUnaligned_v2, .-cuMemcpy2DUnaligned_v2
	.globl cuMemcpy2D_v2
	.hidden cuMemcpy2D_v2
	.type cuMemcpy2D_v2, @function
cuMemcpy2D_v2:
	endbr64
	jmp *culazy_entry+696(%rip)
	.size cuMemcpy2D_v2, .-cuMemcpy2D_v2
	.globl cuMemcpy3DAsync_v2
	.hidden cuMemcpy3DAsync_v2
	.type cuMemcpy3DAsync_v2, @function
cuMemcpy3DAsync_v2:
	endbr64
	jmp *culazy_entry+704(%rip)
	.size cuMemcpy3DAsync_v2, .-cuMemcpy3DAsync_v2
	.globl cuMemcpy3DPeer
	.hidden cuMemcpy3DPeer
	.type cuMemcpy3DPeer, @function
cuMemcpy3DPeer:
	endbr64
	jmp *culazy_entry+712(%rip)
	.size cuMemcpy3DPeer, .-cuMemcpy3DPeer
	.globl cuMemcpy3DPeerAsync
	.hidden cuMemcpy3DPeerAsync
	.type cuMemcpy3DPeerAsync, @function
cuMemcpy3DPeerAsync:
	endbr64
	jmp *culazy_entry+720(%rip)
	.size cuMemcpy3DPeerAsync, .-cuMemcpy3DPeerAsync
	.globl cuMemcpy3D_v2
	.hidden cuMemcpy3D_v2
	.type cuMemcpy3D_v2, @function
cuMemcpy3D_v2:
	endbr64
	jmp *culazy_entry+728(%rip)
	.size cuMemcpy3D_v2, .-cuMemcpy3D_v2
	.globl cuMemcpyAsync
	.hidden cuMemcpyAsync
	.type cuMemcpyAsync, @function
cuMemcpyAsync:
	endbr64
	jmp *culazy_entry+736(%rip)
	.size cuMemcpyAsync, .-cuMemcpyAsync
	.globl cuMemcpyAtoA_v2
	.hidden cuMemcpyAtoA_v2
	.type cuMemcpyAtoA_v2, @function
cuMemcpyAtoA_v2:
	endbr64
	jmp *culazy_entry+744(%rip)
	.size cuMemcpyAtoA_v2, .-cuMemcpyAtoA_v2
	.globl cuMemcpyAtoD_v2
	.hidden cuMemcpyAtoD_v2
	.type cuMemcpyAtoD_v2, @function
cuMemcpyAtoD_v2:
	endbr64
	jmp *culazy_entry+752(%rip)
	.size cuMemcpyAtoD_v2, .-cuMemcpyAtoD_v2
	.globl cuMemcpyAtoHAsync_v2
	.hidden cuMemcpyAtoHAsync_v2
	.type cuMemcpyAtoHAsync_v2, @function
cuMemcpyAtoHAsync_v2:
	endbr64
	jmp *culazy_entry+760(%rip)
	.size cuMemcpyAtoHAsync_v2, .-cuMemcpyAtoHAsync_v2
	.globl cuMemcpyAtoH_v2
	.hidden cuMemcpyAtoH_v2
	.type cuMemcpyAtoH_v2, @function
cuMemcpyAtoH_v2:
	endbr64
	jmp *culazy_entry+768(%rip)
	.size cuMemcpyAtoH_v2, .-cuMemcpyAtoH_v2
	.globl cuMemcpyDtoA_v2
	.hidden cuMemcpyDtoA_v2
	.type cuMemcpyDtoA_v2, @function
cuMemcpyDtoA_v2:
	endbr64
	jmp *culazy_entry+776(%rip)
	.size cuMemcpyDtoA_v2, .-cuMemcpyDtoA_v2
	.globl cuMemcpyDtoDAsync_v2
	.hidden cuMemcpyDtoDAsync_v2
	.type cuMemcpyDtoDAsync_v2, @function
cuMemcpyDtoDAsync_v2:
	endbr64
	jmp *culazy_entry+784(%rip)
	.size cuMemcpyDtoDAsync_v2, .-cuMemcpyDtoDAsync_v2
	.globl cuMemcpyDtoD_v2
	.hidden cuMemcpyDtoD_v2
	.type cuMemcpyDtoD_v2, @function
cuMemcpyDtoD_v2:
	endbr64
	jmp *culazy_entry+792(%rip)
	.size cuMemcpyDtoD_v2, .-cuMemcpyDtoD_v2
	.globl cuMemcpyDtoHAsync_v2
	.hidden cuMemcpyDtoHAsync_v2
	.type cuMemcpyDtoHAsync_v2, @function
cuMemcpyDtoHAsync_v2:
	endbr64
	jmp *culazy_entry+800(%rip)
	.size cuMemcpyDtoHAsync_v2, .-cuMemcpyDtoHAsync_v2
	.globl cuMemcpyDtoH_v2
	.hidden cuMemcpyDtoH_v2
	.type cuMemcpyDtoH_v2, @function
cuMemcpyDtoH_v2:
	endbr64
	jmp *culazy_entry+808(%rip)
	.size cuMemcpyDtoH_v2, .-cuMemcpyDtoH_v2
	.globl cuMemcpyHtoAAsync_v2
	.hidden cuMemcpyHtoAAsync_v2
	.type cuMemcpyHtoAAsync_v2, @function
cuMemcpyHtoAAsync_v2:
	endbr64
	jmp *culazy_entry+816(%rip)
	.size cuMemcpyHtoAAsync_v2, .-cuMemcpyHtoAAsync_v2
	.globl cuMemcpyHtoA_v2
	.hidden cuMemcpyHtoA_v2
	.type cuMemcpyHtoA_v2, @function
cuMemcpyHtoA_v2:
	endbr64
	jmp *culazy_entry+824(%rip)
	.size cuMemcpyHtoA_v2, .-cuMemcpyHtoA_v2
	.globl cuMemcpyHtoDAsync_v2
	.hidden cuMemcpyHtoDAsync_v2
	.type cuMemcpyHtoDAsync_v2, @function
cuMemcpyHtoDAsync_v2:
	endbr64
	jmp *culazy_entry+832(%rip)
	.size cuMemcpyHtoDAsync_v2, .-cuMemcpyHtoDAsync_v2
	.globl cuMemcpyHtoD_v2
	.hidden cuMemcpyHtoD_v2
	.type cuMemcpyHtoD_v2, @function
cuMemcpyHtoD_v2:
	endbr64
	jmp *culazy_entry+840(%rip)
	.size cuMemcpyHtoD_v2, .-cuMemcpyHtoD_v2
	.globl cuMemcpyPeer
	.hidden cuMemcpyPeer
	.type cuMemcpyPeer, @function
cuMemcpyPeer:
	endbr64
	jmp *culazy_entry+848(%rip)
	.size cuMemcpyPeer, .-cuMemcpyPeer
	.globl cuMemcpyPeerAsync
	.hidden cuMemcpyPeerAsync
	.type cuMemcpyPeerAsync, @function
cuMemcpyPeerAsync:
	endbr64
	jmp *culazy_entry+856(%rip)
	.size cuMemcpyPeerAsync, .-cuMemcpyPeerAsync
	.globl cuMemsetD16Async
	.hidden cuMemsetD16Async
	.type cuMemsetD16Async, @function
cuMemsetD16Async:
	endbr64
	jmp *culazy_entry+864(%rip)
	.size cuMemsetD16Async, .-cuMemsetD16Async
	.globl cuMemsetD16_v2
	.hidden cuMemsetD16_v2
	.type cuMemsetD16_v2, @function
cuMemsetD16_v2:
	endbr64
	jmp *culazy_entry+872(%rip)
	.size cuMemsetD16_v2, .-cuMemsetD16_v2
	.globl cuMemsetD2D16Async
	.hidden cuMemsetD2D16Async
	.type cuMemsetD2D16Async, @function
cuMemsetD2D16Async:
	endbr64
	jmp *culazy_entry+880(%rip)
	.size cuMemsetD2D16Async, .-cuMemsetD2D16Async
	.globl cuMemsetD2D16_v2
	.hidden cuMemsetD2D16_v2
	.type cuMemsetD2D16_v2, @function
cuMemsetD2D16_v2:
	endbr64
	jmp *culazy_entry+888(%rip)
	.size cuMemsetD2D16_v2, .-cuMemsetD2D16_v2
	.globl cuMemsetD2D32Async
	.hidden cuMemsetD2D32Async
	.type cuMemsetD2D32Async, @function
cuMemsetD2D32Async:
	endbr64
	jmp *culazy_entry+896(%rip)
	.size cuMemsetD2D32Async, .-cuMemsetD2D32Async
	.globl cuMemsetD2D32_v2
	.hidden cuMemsetD2D32_v2
	.type cuMemsetD2D32_v2, @function
cuMemsetD2D32_v2:
	endbr64
	jmp *culazy_entry+904(%rip)
	.size cuMemsetD2D32_v2, .-cuMemsetD2D32_v2
	.globl cuMemsetD2D8Async
	.hidden cuMemsetD2D8Async
	.type cuMemsetD2D8Async, @function
cuMemsetD2D8Async:
	endbr64
	jmp *culazy_entry+912(%rip)
	.size cuMemsetD2D8Async, .-cuMemsetD2D8Async
	.globl cuMemsetD2D8_v2
	.hidden cuMemsetD2D8_v2
	.type cuMemsetD2D8_v2, @function
cuMemsetD2D8_v2:
	endbr64
	jmp *culazy_entry+920(%rip)
	.size cuMemsetD2D8_v2, .-cuMemsetD2D8_v2
	.globl cuMemsetD32Async
	.hidden cuMemsetD32Async
	.type cuMemsetD32Async, @function
cuMemsetD32Async:
	endbr64
	jmp *culazy_entry+928(%rip)
	.size cuMemsetD32Async, .-cuMemsetD32Async
	.globl cuMemsetD32_v2
	.hidden cuMemsetD32_v2
	.type cuMemsetD32_v2, @function
cuMemsetD32_v2:
	endbr64
	jmp *culazy_entry+936(%rip)
	.size cuMemsetD32_v2, .-cuMemsetD32_v2
	.globl cuMemsetD8Async
	.hidden cuMemsetD8Async
	.type cuMemsetD8Async, @function
cuMemsetD8Async:
	endbr64
	jmp *culazy_entry+944(%rip)
	.size cuMemsetD8Async, .-cuMemsetD8Async
	.globl cuMemsetD8_v2
	.hidden cuMemsetD8_v2
	.type cuMemsetD8_v2, @function
cuMemsetD8_v2:
	endbr64
	jmp *culazy_entry+952(%rip)
	.size cuMemsetD8_v2, .-cuMemsetD8_v2
	.globl cuModuleGetFunction
	.hidden cuModuleGetFunction
	.type cuModuleGetFunction, @function
cuModuleGetFunction:
	endbr64
	jmp *culazy_entry+960(%rip)
	.size cuModuleGetFunction, .-cuModuleGetFunction
	.globl cuModuleGetGlobal_v2
	.hidden cuModuleGetGlobal_v2
	.type cuModuleGetGlobal_v2, @function
cuModuleGetGlobal_v2:
	endbr64
	jmp *culazy_entry+968(%rip)
	.size cuModuleGetGlobal_v2, .-cuModuleGetGlobal_v2
	.globl cuModuleGetSurfRef
	.hidden cuModuleGetSurfRef
	.type cuModuleGetSurfRef, @function
cuModuleGetSurfRef:
	endbr64
	jmp *culazy_entry+976(%rip)
	.size cuModuleGetSurfRef, .-cuModuleGetSurfRef
	.globl cuModuleGetTexRef
	.hidden cuModuleGetTexRef
	.type cuModuleGetTexRef, @function
cuModuleGetTexRef:
	endbr64
	jmp *culazy_entry+984(%rip)
	.size cuModuleGetTexRef, .-cuModuleGetTexRef
	.globl cuModuleLoad
	.hidden cuModuleLoad
	.type cuModuleLoad, @function
cuModuleLoad:
	endbr64
	jmp *culazy_entry+992(%rip)
	.size cuModuleLoad, .-cuModuleLoad
	.globl cuModuleLoadData
	.hidden cuModuleLoadData
	.type cuModuleLoadData, @function
cuModuleLoadData:
	endbr64
	jmp *culazy_entry+1000(%rip)
	.size cuModuleLoadData, .-cuModuleLoadData
	.globl cuModuleLoadDataEx
	.hidden cuModuleLoadDataEx
	.type cuModuleLoadDataEx, @function
cuModuleLoadDataEx:
	endbr64
	jmp *culazy_entry+1008(%rip)
	.size cuModuleLoadDataEx, .-cuModuleLoadDataEx
	.globl cuModuleLoadFatBinary
	.hidden cuModuleLoadFatBinary
	.type cuModuleLoadFatBinary, @function
cuModuleLoadFatBinary:
	endbr64
	jmp *culazy_entry+1016(%rip)
	.size cuModuleLoadFatBinary, .-cuModuleLoadFatBinary
	.globl cuModuleUnload
	.hidden cuModuleUnload
	.type cuModuleUnload, @function
cuModuleUnload:
	endbr64
	jmp *culazy_entry+1024(%rip)
	.size cuModuleUnload, .-cuModuleUnload
	.globl cuOccupancyMaxActiveBlocksPerMultiprocessor
	.hidden cuOccupancyMaxActiveBlocksPerMultiprocessor
	.type cuOccupancyMaxActiveBlocksPerMultiprocessor, @function
cuOccupancyMaxActiveBlocksPerMultiprocessor:
	endbr64
	jmp *culazy_entry+1032(%rip)
	.size cuOccupancyMaxActiveBlocksPerMultiprocessor, .-cuOccupancyMaxActiveBlocksPerMultiprocessor
	.globl cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
	.hidden cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
	.type cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, @function
cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags:
	endbr64
	jmp *culazy_entry+1040(%rip)
	.size cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, .-cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags
	.globl cuOccupancyMaxPotentialBlockSize
	.hidden cuOccupancyMaxPotentialBlockSize
	.type cuOccupancyMaxPotentialBlockSize, @function
cuOccupancyMaxPotentialBlockSize:
	endbr64
	jmp *culazy_entry+1048(%rip)
	.size cuOccupancyMaxPotentialBlockSize, .-cuOccupancyMaxPotentialBlockSize
	.globl cuPointerGetAttribute
	.hidden cuPointerGetAttribute
	.type cuPointerGetAttribute, @function
cuPointerGetAttribute:
	endbr64
	jmp *culazy_entry+1056(%rip)
	.size cuPointerGetAttribute, .-cuPointerGetAttribute
	.globl cuPointerSetAttribute
	.hidden cuPointerSetAttribute
	.type cuPointerSetAttribute, @function
cuPointerSetAttribute:
	endbr64
	jmp *culazy_entry+1064(%rip)
	.size cuPointerSetAttribute, .-cuPointerSetAttribute
	.globl cuStreamAttachMemAsync
	.hidden cuStreamAttachMemAsync
	.type cuStreamAttachMemAsync, @function
cuStreamAttachMemAsync:
	endbr64
	jmp *culazy_entry+1072(%rip)
	.size cuStreamAttachMemAsync, .-cuStreamAttachMemAsync
	.globl cuStreamBeginCapture_v2
	.hidden cuStreamBeginCapture_v2
	.type cuStreamBeginCapture_v2, @function
cuStreamBeginCapture_v2:
	endbr64
	jmp *culazy_entry+1080(%rip)
	.size cuStreamBeginCapture_v2, .-cuStreamBeginCapture_v2
	.globl cuStreamCreate
	.hidden cuStreamCreate
	.type cuStreamCreate, @function
cuStreamCreate:
	endbr64
	jmp *culazy_entry+1088(%rip)
	.size cuStreamCreate, .-cuStreamCreate
	.globl cuStreamCreateWithPriority
	.hidden cuStreamCreateWithPriority
	.type cuStreamCreateWithPriority, @function
cuStreamCreateWithPriority:
	endbr64
	jmp *culazy_entry+1096(%rip)
	.size cuStreamCreateWithPriority, .-cuStreamCreateWithPriority
	.globl cuStreamDestroy_v2
	.hidden cuStreamDestroy_v2
	.type cuStreamDestroy_v2, @function
cuStreamDestroy_v2:
	endbr64
	jmp *culazy_entry+1104(%rip)
	.size cuStreamDestroy_v2, .-cuStreamDestroy_v2
	.globl cuStreamEndCapture
	.hidden cuStreamEndCapture
	.type cuStreamEndCapture, @function
cuStreamEndCapture:
	endbr64
	jmp *culazy_entry+1112(%rip)
	.size cuStreamEndCapture, .-cuStreamEndCapture
	.globl cuStreamGetFlags
	.hidden cuStreamGetFlags
	.type cuStreamGetFlags, @function
cuStreamGetFlags:
	endbr64
	jmp *culazy_entry+1120(%rip)
	.size cuStreamGetFlags, .-cuStreamGetFlags
	.globl cuStreamGetPriority
	.hidden cuStreamGetPriority
	.type cuStreamGetPriority, @function
cuStreamGetPriority:
	endbr64
	jmp *culazy_entry+1128(%rip)
	.size cuStreamGetPriority, .-cuStreamGetPriority
	.globl cuStreamQuery
	.hidden cuStreamQuery
	.type cuStreamQuery, @function
cuStreamQuery:
	endbr64
	jmp *culazy_entry+1136(%rip)
	.size cuStreamQuery, .-cuStreamQuery
	.globl cuStreamSynchronize
	.hidden cuStreamSynchronize
	.type cuStreamSynchronize, @function
cuStreamSynchronize:
	endbr64
	jmp *culazy_entry+1144(%rip)
	.size cuStreamSynchronize, .-cuStreamSynchronize
	.globl cuStreamWaitEvent
	.hidden cuStreamWaitEvent
	.type cuStreamWaitEvent, @function
cuStreamWaitEvent:
	endbr64
	jmp *culazy_entry+1152(%rip)
	.size cuStreamWaitEvent, .-cuStreamWaitEvent
	.globl cuStreamWaitValue32
	.hidden cuStreamWaitValue32
	.type cuStreamWaitValue32, @function
cuStreamWaitValue32:
	endbr64
	jmp *culazy_entry+1160(%rip)
	.size cuStreamWaitValue32, .-cuStreamWaitValue32
	.globl cuStreamWriteValue32
	.hidden cuStreamWriteValue32
	.type cuStreamWriteValue32, @function
cuStreamWriteValue32:
	endbr64
	jmp *culazy_entry+1168(%rip)
	.size cuStreamWriteValue32, .-cuStreamWriteValue32
	.globl cuSurfRefGetArray
	.hidden cuSurfRefGetArray
	.type cuSurfRefGetArray, @function
cuSurfRefGetArray:
	endbr64
	jmp *culazy_entry+1176(%rip)
	.size cuSurfRefGetArray, .-cuSurfRefGetArray
	.globl cuSurfRefSetArray
	.hidden cuSurfRefSetArray
	.type cuSurfRefSetArray, @function
cuSurfRefSetArray:
	endbr64
	jmp *culazy_entry+1184(%rip)
	.size cuSurfRefSetArray, .-cuSurfRefSetArray
	.globl cuTensorMapEncodeTiled
	.hidden cuTensorMapEncodeTiled
	.type cuTensorMapEncodeTiled, @function
cuTensorMapEncodeTiled:
	endbr64
	jmp *culazy_entry+1192(%rip)
	.size cuTensorMapEncodeTiled, .-cuTensorMapEncodeTiled
	.globl cuTexRefGetAddressMode
	.hidden cuTexRefGetAddressMode
	.type cuTexRefGetAddressMode, @function
cuTexRefGetAddressMode:
	endbr64
	jmp *culazy_entry+1200(%rip)
	.size cuTexRefGetAddressMode, .-cuTexRefGetAddressMode
	.globl cuTexRefGetAddress_v2
	.hidden cuTexRefGetAddress_v2
	.type cuTexRefGetAddress_v2, @function
cuTexRefGetAddress_v2:
	endbr64
	jmp *culazy_entry+1208(%rip)
	.size cuTexRefGetAddress_v2, .-cuTexRefGetAddress_v2
	.globl cuTexRefGetArray
	.hidden cuTexRefGetArray
	.type cuTexRefGetArray, @function
cuTexRefGetArray:
	endbr64
	jmp *culazy_entry+1216(%rip)
	.size cuTexRefGetArray, .-cuTexRefGetArray
	.globl cuTexRefGetBorderColor
	.hidden cuTexRefGetBorderColor
	.type cuTexRefGetBorderColor, @function
cuTexRefGetBorderColor:
	endbr64
	jmp *culazy_entry+1224(%rip)
	.size cuTexRefGetBorderColor, .-cuTexRefGetBorderColor
	.globl cuTexRefGetFilterMode
	.hidden cuTexRefGetFilterMode
	.type cuTexRefGetFilterMode, @function
cuTexRefGetFilterMode:
	endbr64
	jmp *culazy_entry+1232(%rip)
	.size cuTexRefGetFilterMode, .-cuTexRefGetFilterMode
	.globl cuTexRefGetFlags
	.hidden cuTexRefGetFlags
	.type cuTexRefGetFlags, @function
cuTexRefGetFlags:
	endbr64
	jmp *culazy_entry+1240(%rip)
	.size cuTexRefGetFlags, .-cuTexRefGetFlags
	.globl cuTexRefGetFormat
	.hidden cuTexRefGetFormat
	.type cuTexRefGetFormat, @function
cuTexRefGetFormat:
	endbr64
	jmp *culazy_entry+1248(%rip)
	.size cuTexRefGetFormat, .-cuTexRefGetFormat
	.globl cuTexRefGetMaxAnisotropy
	.hidden cuTexRefGetMaxAnisotropy
	.type cuTexRefGetMaxAnisotropy, @function
cuTexRefGetMaxAnisotropy:
	endbr64
	jmp *culazy_entry+1256(%rip)
	.size cuTexRefGetMaxAnisotropy, .-cuTexRefGetMaxAnisotropy
	.globl cuTexRefSetAddress2D_v3
	.hidden cuTexRefSetAddress2D_v3
	.type cuTexRefSetAddress2D_v3, @function
cuTexRefSetAddress2D_v3:
	endbr64
	jmp *culazy_entry+1264(%rip)
	.size cuTexRefSetAddress2D_v3, .-cuTexRefSetAddress2D_v3
	.globl cuTexRefSetAddressMode
	.hidden cuTexRefSetAddressMode
	.type cuTexRefSetAddressMode, @function
cuTexRefSetAddressMode:
	endbr64
	jmp *culazy_entry+1272(%rip)
	.size cuTexRefSetAddressMode, .-cuTexRefSetAddressMode
	.globl cuTexRefSetAddress_v2
	.hidden cuTexRefSetAddress_v2
	.type cuTexRefSetAddress_v2, @function
cuTexRefSetAddress_v2:
	endbr64
	jmp *culazy_entry+1280(%rip)
	.size cuTexRefSetAddress_v2, .-cuTexRefSetAddress_v2
	.globl cuTexRefSetArray
	.hidden cuTexRefSetArray
	.type cuTexRefSetArray, @function
cuTexRefSetArray:
	endbr64
	jmp *culazy_entry+1288(%rip)
	.size cuTexRefSetArray, .-cuTexRefSetArray
	.globl cuTexRefSetBorderColor
	.hidden cuTexRefSetBorderColor
	.type cuTexRefSetBorderColor, @function
cuTexRefSetBorderColor:
	endbr64
	jmp *culazy_entry+1296(%rip)
	.size cuTexRefSetBorderColor, .-cuTexRefSetBorderColor
	.globl cuTexRefSetFilterMode
	.hidden cuTexRefSetFilterMode
	.type cuTexRefSetFilterMode, @function
cuTexRefSetFilterMode:
	endbr64
	jmp *culazy_entry+1304(%rip)
	.size cuTexRefSetFilterMode, .-cuTexRefSetFilterMode
	.globl cuTexRefSetFlags
	.hidden cuTexRefSetFlags
	.type cuTexRefSetFlags, @function
cuTexRefSetFlags:
	endbr64
	jmp *culazy_entry+1312(%rip)
	.size cuTexRefSetFlags, .-cuTexRefSetFlags
	.globl cuTexRefSetFormat
	.hidden cuTexRefSetFormat
	.type cuTexRefSetFormat, @function
cuTexRefSetFormat:
	endbr64
	jmp *culazy_entry+1320(%rip)
	.size cuTexRefSetFormat, .-cuTexRefSetFormat
	.globl cuTexRefSetMaxAnisotropy
	.hidden cuTexRefSetMaxAnisotropy
	.type cuTexRefSetMaxAnisotropy, @function
cuTexRefSetMaxAnisotropy:
	endbr64
	jmp *culazy_entry+1328(%rip)
	.size cuTexRefSetMaxAnisotropy, .-cuTexRefSetMaxAnisotropy
	.globl cuTexRefSetMipmapFilterMode
	.hidden cuTexRefSetMipmapFilterMode
	.type cuTexRefSetMipmapFilterMode, @function
cuTexRefSetMipmapFilterMode:
	endbr64
	jmp *culazy_entry+1336(%rip)
	.size cuTexRefSetMipmapFilterMode, .-cuTexRefSetMipmapFilterMode
	.globl cuTexRefSetMipmapLevelBias
	.hidden cuTexRefSetMipmapLevelBias
	.type cuTexRefSetMipmapLevelBias, @function
cuTexRefSetMipmapLevelBias:
	endbr64
	jmp *culazy_entry+1344(%rip)
	.size cuTexRefSetMipmapLevelBias, .-cuTexRefSetMipmapLevelBias
	.globl cuTexRefSetMipmapLevelClamp
	.hidden cuTexRefSetMipmapLevelClamp
	.type cuTexRefSetMipmapLevelClamp, @function
cuTexRefSetMipmapLevelClamp:
	endbr64
	jmp *culazy_entry+1352(%rip)
	.size cuTexRefSetMipmapLevelClamp, .-cuTexRefSetMipmapLevelClamp
